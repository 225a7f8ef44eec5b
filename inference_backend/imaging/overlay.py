"""A labelmap drawn on the image that the model sees, in the published colours.

Reproduces the overlays of Project-MONAI/VLM-Radiology-Agent-Framework @ fc8c5a7: the colours go, in a fixed
order, over the sorted label values present in the image.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError
from skimage.color import color_dict, label2rgb

from inference_backend.imaging.volume import Array, Volume
from VILAM3SlicerLib.protocol.errors import InvalidRequest
from VILAM3SlicerLib.protocol.events import Color
from VILAM3SlicerLib.protocol.messages import ViewGeometry

COLOUR_NAMES = (
    "red", "blue", "yellow", "magenta", "green", "indigo", "darkorange", "cyan",
    "pink", "brown", "orange", "lime", "orange", "gold", "yellowgreen", "darkgreen",
)  # fmt: skip
"""The published order, "orange" twice; it starts again after the last."""

OPACITY = 0.3


@dataclass(frozen=True)
class ColouredLabel:
    """A label value of an overlay and its colour."""

    label: int
    colour: str
    rgb: Color


def sample_labels(labelmap: Volume, geometry: ViewGeometry) -> Array:
    """The label of the nearest voxel at each pixel centre; 0 outside the volume.

    Returns:
        shape (rows, columns), rows from the top, dtype of the labelmap.
    """
    pixel_to_ijk = labelmap.ras_to_ijk @ np.array(geometry.pixel_to_ras, np.float64).reshape(4, 4)
    column, row = np.meshgrid(np.arange(geometry.columns), np.arange(geometry.rows))
    steps = pixel_to_ijk[:3, 0, None, None] * column + pixel_to_ijk[:3, 1, None, None] * row
    nearest = np.rint(steps + pixel_to_ijk[:3, 3, None, None])
    shape = np.array(labelmap.voxels.shape)[:, None, None]
    inside = ((nearest >= 0) & (nearest < shape)).all(0)
    labels = np.zeros(inside.shape, labelmap.voxels.dtype)
    i, j, k = nearest[:, inside].astype(np.intp)
    labels[inside] = labelmap.voxels[i, j, k]
    return labels


def draw_overlay(image: bytes, labels: Array) -> tuple[bytes, tuple[ColouredLabel, ...]]:
    """Paint labels over an image.

    Args:
        image: PNG or JPEG with as many rows and columns as ``labels``.
        labels: shape (rows, columns), integers, 0 is not painted.

    Returns:
        An RGB PNG, and the label values in it with their colours, sorted by value.

    Raises:
        InvalidRequest: the image cannot be read or has another size.
    """
    pixels = _read(image)
    if pixels.shape[:2] != labels.shape:
        raise InvalidRequest(
            f"The image has {pixels.shape[1]}x{pixels.shape[0]} pixels, its geometry says "
            f"{labels.shape[1]}x{labels.shape[0]}.",
            "Send the image and its view geometry together again.",
        )
    coloured = colours_for(labels)
    painted = label2rgb(labels, pixels, [label.rgb for label in coloured] or None, alpha=OPACITY, bg_label=0)
    return encode_png((painted * 255).astype(np.uint8)), coloured


def colours_for(labels: Array) -> tuple[ColouredLabel, ...]:
    """The published colour of each non-zero label value in ``labels``, sorted by value."""
    present = [int(label) for label in np.unique(labels) if label]
    names = [COLOUR_NAMES[position % len(COLOUR_NAMES)] for position in range(len(present))]
    return tuple(ColouredLabel(label, name, _rgb(name)) for label, name in zip(present, names, strict=True))


def _rgb(name: str) -> Color:
    red, green, blue = (float(part) for part in color_dict[name])
    return red, green, blue


def _read(image: bytes) -> npt.NDArray[np.uint8]:
    try:
        return np.asarray(Image.open(io.BytesIO(image)).convert("RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise InvalidRequest("An image of the question cannot be read.", "Send it as PNG or JPEG.") from error


def encode_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Grey pixels (rows, columns) or colours (rows, columns, 3) as a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
