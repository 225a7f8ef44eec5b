"""The part of a picture in which a box lies."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import numpy as np

from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.protocol.phrases import phrases
from VILAM3SlicerLib.scene.geometry import Affine, invert
from VILAM3SlicerLib.scene.picture import Picture

_ = phrases(__name__)

Rectangle = tuple[float, float, float, float]
"""First and last column, first and last row, in pixels; a pixel's centre has whole numbers."""

_CORNERS = list(product((-0.5, 0.5), repeat=3))
_EDGES = [pair for pair in combinations(_CORNERS, 2) if sum(a != b for a, b in zip(*pair, strict=True)) == 1]


def rectangle_of(box_to_ras: Affine, pixel_to_ras: Affine) -> Rectangle:
    """The smallest rectangle around what a box has of a slice.

    Args:
        box_to_ras: 4x4, the cube from -0.5 to 0.5 along each axis to RAS in mm.
        pixel_to_ras: 4x4, pixels to RAS in the same frame; its third column is the step to the next slice.

    Raises:
        SceneError: the box lies farther from the slice than half a step.
    """
    to_pixels = invert(pixel_to_ras) @ box_to_ras
    pieces = [_within_slice(*(to_pixels @ (*corner, 1.0) for corner in edge)) for edge in _EDGES]
    points = np.array([point for piece in pieces for point in piece])
    if not len(points):
        raise SceneError(
            _("The box does not reach the slice that is shown to the model."),
            _("Scroll the view into the box, or remove the box."),
        )
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return float(left), float(right), float(top), float(bottom)


def cut_out(picture: Picture, rectangle: Rectangle) -> Picture:
    """The pixels of a picture whose centres lie in a rectangle, one at least in each direction.

    Raises:
        SceneError: the rectangle lies outside the picture.
    """
    rows, columns = picture.pixels.shape
    left, right, top, bottom = rectangle
    if right < -0.5 or left > columns - 0.5 or bottom < -0.5 or top > rows - 0.5:
        raise SceneError(_("The box lies outside the scan."), _("Draw it on the scan, or remove it."))
    first_column, last_column = _pixels(left, right, columns)
    first_row, last_row = _pixels(top, bottom, rows)
    shift = np.eye(4)
    shift[:2, 3] = first_column, first_row
    return replace(
        picture,
        pixels=np.ascontiguousarray(picture.pixels[first_row : last_row + 1, first_column : last_column + 1]),
        pixel_to_ras=picture.pixel_to_ras @ shift,
    )


def _within_slice(start: Affine, end: Affine) -> list[Affine]:
    """Where the part of an edge begins and ends that is within half a step of the slice: (column, row)."""
    low, high = sorted(((start[2], start), (end[2], end)), key=lambda one: one[0])
    if low[0] > 0.5 or high[0] < -0.5:
        return []
    rise = high[0] - low[0]
    if rise < 1e-9:
        return [start[:2], end[:2]]
    shares = (np.clip((limit - low[0]) / rise, 0.0, 1.0) for limit in (-0.5, 0.5))
    return [(low[1] + share * (high[1] - low[1]))[:2] for share in shares]


def _pixels(first: float, last: float, count: int) -> tuple[int, int]:
    start, stop = int(np.ceil(first - 1e-6)), int(np.floor(last + 1e-6))
    if stop < start:
        start = stop = round((first + last) / 2)
    return min(max(start, 0), count - 1), min(max(stop, 0), count - 1)
