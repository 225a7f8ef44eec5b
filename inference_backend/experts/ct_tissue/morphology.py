"""Morphology in millimetres on anisotropic grids, by exact Euclidean distance.

Outside the grid nothing is known: erosion does not start from the border.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import SimpleITK
from scipy import ndimage

from inference_backend.experts.ct_tissue.ball import grow
from inference_backend.experts.ct_tissue.working_grid import Mask

Spacing = tuple[float, float, float]


def distance_to(mask: Mask, spacing: Spacing) -> npt.NDArray[np.float32]:
    """Distance in mm of each voxel to the nearest one of ``mask``; 0 inside, infinite where it is empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    image = SimpleITK.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(spacing[::-1])  # SimpleITK reads the last axis of an array as x
    outside = SimpleITK.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)
    distance: npt.NDArray[np.float32] = np.maximum(SimpleITK.GetArrayFromImage(outside), 0)
    return distance


def dilate(mask: Mask, millimetres: float, spacing: Spacing) -> Mask:
    """All voxels within ``millimetres`` of ``mask``."""
    grown = np.zeros_like(mask)
    for box in boxes_around(mask, millimetres, spacing):
        grown[box] = grow(mask[box], millimetres, spacing)
    return grown


def erode(mask: Mask, millimetres: float, spacing: Spacing) -> Mask:
    """The voxels of ``mask`` that are farther than ``millimetres`` from its outside."""
    eroded = np.zeros_like(mask)
    for box in boxes_around(mask, max(spacing), spacing):
        eroded[box] = ~grow(~mask[box], millimetres, spacing)
    return eroded


def boxes_around(mask: Mask, millimetres: float, spacing: Spacing) -> list[tuple[slice, ...]]:
    """The part of the grid within ``millimetres`` of ``mask``, and a voxel more; none if it is empty."""
    boxes = ndimage.find_objects(mask.astype(np.uint8))
    margins = [int(np.ceil(millimetres / mm)) + 1 for mm in spacing]
    return [
        tuple(
            slice(max(0, part.start - margin), part.stop + margin)
            for part, margin in zip(box, margins, strict=True)
        )
        for box in boxes
    ]


def close(mask: Mask, millimetres: float, spacing: Spacing) -> Mask:
    """Fill gaps and dents that a ball of the radius ``millimetres`` does not fit into."""
    return erode(dilate(mask, millimetres, spacing), millimetres, spacing) | mask


def open_(mask: Mask, millimetres: float, spacing: Spacing) -> Mask:
    """Remove what a ball of the radius ``millimetres`` does not fit into."""
    return dilate(erode(mask, millimetres, spacing), millimetres, spacing) & mask


def fill_slices(mask: Mask) -> Mask:
    """Fill the holes of each axial slice."""
    return np.stack([ndimage.binary_fill_holes(mask[:, :, k]) for k in range(mask.shape[2])], axis=2)


def label_slices(mask: Mask) -> tuple[npt.NDArray[np.int32], int]:
    """The connected components within each axial slice, and their number."""
    in_plane = ndimage.generate_binary_structure(3, 1)
    in_plane[:, :, [0, 2]] = False
    components, count = ndimage.label(mask, in_plane)
    return components, int(count)


def fill(mask: Mask) -> Mask:
    """Fill what ``mask`` encloses on all sides."""
    holes, _ = ndimage.label(~mask)
    border = np.ones_like(mask)
    border[1:-1, 1:-1, 1:-1] = False
    open_ones = np.zeros(int(holes.max()) + 1, bool)
    open_ones[holes[border]] = True
    enclosed: Mask = ~open_ones[holes]
    return mask | enclosed


def touching(mask: Mask, seeds: Mask) -> Mask:
    """The connected components of ``mask`` (by faces) that contain a voxel of ``seeds``."""
    components, count = ndimage.label(mask)
    keep = np.zeros(count + 1, bool)
    keep[components[seeds & mask]] = True
    keep[0] = False
    kept: Mask = keep[components]
    return kept


def larger_than(mask: Mask, voxels: float) -> Mask:
    """The connected components of ``mask`` (by faces) with at least ``voxels`` voxels."""
    components, _ = ndimage.label(mask)
    keep = np.bincount(components.ravel()) >= voxels
    keep[0] = False
    kept: Mask = keep[components]
    return kept
