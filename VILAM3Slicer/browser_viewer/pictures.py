"""Radiographs that were saved as pictures: grey PNG and JPEG files, also those that were saved as colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK

from VILAM3SlicerLib.protocol.errors import UnsupportedVolume

SUFFIXES = (".png", ".jpg", ".jpeg")
_GREY = 2
"""How far red, green and blue may lie apart, of 255, as compression has it."""


def is_picture(path: Path) -> bool:
    """Whether the file's name says that it is one."""
    return path.name.lower().endswith(SUFFIXES)


def as_slice(name: str, picture: SimpleITK.Image) -> SimpleITK.Image:
    """A picture as a volume of one slice with pixels of 1 mm, since pictures do not say how large they are.

    Raises:
        UnsupportedVolume: it is in colour.
    """
    pixels = SimpleITK.GetArrayFromImage(picture)
    if pixels.ndim == 3:
        colours = pixels[..., :3].astype(np.int32)
        if pixels.shape[-1] >= 3 and (colours.max(axis=-1) - colours.min(axis=-1)).max() > _GREY:
            raise UnsupportedVolume(
                f"'{name}' is a colour picture; only grey ones, such as radiographs, can be read.",
                "Open the original scan instead of a picture of it.",
            )
        pixels = np.ascontiguousarray(pixels[..., 0])
    return SimpleITK.GetImageFromArray(pixels[None])
