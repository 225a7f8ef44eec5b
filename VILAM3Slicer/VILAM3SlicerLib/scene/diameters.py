"""The longest diameter of a lesion: the longest straight line across it in an axial slice, as in RECIST.

Slices are those of the volume along the voxel axis closest to head-feet. In each, an area of voxels that
touch by a side or a corner counts for itself, so that no line runs from one lesion to another. Lines run
between the middles of the pixels' outer sides, where an outline drawn around the area has its corners. So it
is pyradiomics' Maximum2DDiameterSlice of one lesion, but for that one's lines which join two slices.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from VILAM3SlicerLib.scene.arrays import Array, image_array
from VILAM3SlicerLib.scene.geometry import Affine, closest_ras_axes, image_to_ras
from VILAM3SlicerLib.scene.steps import Steps

Run = tuple[int, int, int]
"""A row and the first and the last column of pixels side by side in it."""

Points = npt.NDArray[np.float64]
"""Row and column of points in a slice, shape (points, 2)."""


def longest_diameter_in_steps(segment: Any) -> Steps[float]:
    """The longest diameter of a ``vtkSegment`` with a binary labelmap, in mm; 0 where it has no voxels."""
    image = segment.GetRepresentation("Binary labelmap")
    result = yield from longest_axial_in_steps(
        image_array(image), segment.GetLabelValue(), image_to_ras(image)
    )
    return result


def longest_axial_in_steps(labels: Array, value: int, ijk_to_ras: Affine) -> Steps[float]:
    """The longest diameter of the voxels with a value, in mm.

    Args:
        labels: shape (K, J, I).
        value: the value of the lesion's voxels.
        ijk_to_ras: 4x4, in mm; where the array's first voxel lies does not matter.
    """
    superior = closest_ras_axes(ijk_to_ras)[2][0]
    row_axis, column_axis = (axis for axis in (2, 1, 0) if axis != superior)
    to_mm = np.column_stack((ijk_to_ras[:3, row_axis], ijk_to_ras[:3, column_axis]))
    slices = np.moveaxis(labels, 2 - superior, 0)
    longest = 0.0
    for plane in slices:
        mask = plane == value
        if mask.any():
            for area in _areas(_runs(mask)):
                longest = max(longest, _longest(_hull(_outline(area)) @ to_mm.T))
        yield
    return longest


def _runs(mask: npt.NDArray[np.bool_]) -> list[Run]:
    """The runs of a slice, row by row, each row's from its first column on."""
    padded = np.pad(mask, ((0, 0), (1, 1))).astype(np.int8)
    steps = np.diff(padded, axis=1)
    rows, firsts = np.nonzero(steps == 1)
    lasts = np.nonzero(steps == -1)[1] - 1
    return list(zip(rows.tolist(), firsts.tolist(), lasts.tolist(), strict=True))


def _areas(runs: list[Run]) -> list[list[Run]]:
    """Runs that touch by a side or a corner together."""
    parents = list(range(len(runs)))

    def root(number: int) -> int:
        while parents[number] != number:
            parents[number] = number = parents[parents[number]]
        return number

    for one, other in _touching(runs):
        parents[root(other)] = root(one)
    areas: dict[int, list[Run]] = {}
    for number, run in enumerate(runs):
        areas.setdefault(root(number), []).append(run)
    return list(areas.values())


def _touching(runs: list[Run]) -> Iterator[tuple[int, int]]:
    """The places of runs of neighbouring rows that touch."""
    above = 0
    for number, (row, first, last) in enumerate(runs):
        while runs[above][0] < row - 1 or (runs[above][0] == row - 1 and runs[above][2] < first - 1):
            above += 1
        candidate = above
        while runs[candidate][0] == row - 1 and runs[candidate][1] <= last + 1:
            yield candidate, number
            candidate += 1


def _outline(area: list[Run]) -> Points:
    """Middles of outer edges that hold all others within their hull."""
    row, first, last = np.array(area, dtype=np.float64).T
    half = 0.5
    sides = [(row, first - half), (row, last + half)]
    ends = [(row + up, column) for up in (-half, half) for column in (first, last)]
    return np.concatenate([np.column_stack(points) for points in (*sides, *ends)])


def _hull(points: Points) -> Points:
    """The corners of the convex hull, by Andrew's monotone chain."""
    ordered = [tuple(point) for point in np.unique(points, axis=0).tolist()]
    return np.array(_chain(ordered) + _chain(ordered[::-1]))


def _chain(ordered: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
    corners: list[tuple[float, ...]] = []
    for row, column in ordered:
        while len(corners) > 1:
            (row_0, column_0), (row_1, column_1) = corners[-2:]
            if (row_1 - row_0) * (column - column_0) > (column_1 - column_0) * (row - row_0):
                break
            corners.pop()
        corners.append((row, column))
    return corners


def _longest(corners: npt.NDArray[np.float64]) -> float:
    """The longest distance between two corners, given in mm, shape (corners, 3)."""
    return max(float(np.linalg.norm(corners - corner, axis=1).max()) for corner in corners)
