"""From a radiograph's volume to the square image that the models read."""

from __future__ import annotations

import nibabel.orientations
import numpy as np
import numpy.typing as npt

from inference_backend.imaging.volume import Array, Volume
from VILAM3SlicerLib.protocol.errors import ExpertError

_SMALLEST = 64
"""Pixels along a side; a chest cannot be read on fewer."""


def radiograph(volume: Volume) -> npt.NDArray[np.float32]:
    """The square in the middle of the image, rows from the top, scaled to [-1024, 1024].

    8-bit images are scaled as published, by 255. Others (12 to 16 bits) by their own range, as the bits that
    a detector really uses are not told by the number type.

    Raises:
        ExpertError: a volume with more than one slice, or an image that shows nothing.
    """
    pixels = _square(_upright(volume))
    if not np.isrealobj(pixels) or not np.isfinite(pixels).all():
        raise ExpertError("The image has values that are not numbers.", "Choose another image.")
    low, high = (0.0, 255.0) if pixels.dtype == np.uint8 else (float(pixels.min()), float(pixels.max()))
    if pixels.min() == pixels.max():
        raise ExpertError("The image is empty: all pixels are alike.", "Choose another image.")
    scaled: npt.NDArray[np.float32] = ((pixels.astype(np.float32) - low) / (high - low) * 2 - 1) * 1024
    return scaled


def _upright(volume: Volume) -> Array:
    """Rows from the top, columns from the left: the patient's right (or front) is on the left."""
    ornt = nibabel.orientations.ornt_transform(
        nibabel.orientations.io_orientation(volume.ijk_to_ras), nibabel.orientations.axcodes2ornt("LPI")
    )
    turned: Array = nibabel.orientations.apply_orientation(volume.voxels, ornt)
    flat = [axis for axis, length in enumerate(turned.shape) if length == 1]
    if len(flat) != 1:
        raise ExpertError(
            f"This is a volume of {volume.voxels.shape} voxels, not a radiograph.",
            "Choose a chest X-ray: an image with a single slice.",
        )
    upright: Array = np.take(turned, 0, flat[0]).T
    return upright


def _square(pixels: Array) -> Array:
    """As the published system crops: the middle, one pixel nearer to the origin where it does not divide."""
    rows, columns = pixels.shape
    side = min(rows, columns)
    if side < _SMALLEST:
        raise ExpertError(f"The image has only {columns}x{rows} pixels.", "Choose a larger image.")
    top, left = rows // 2 - side // 2, columns // 2 - side // 2
    return pixels[top : top + side, left : left + side]
