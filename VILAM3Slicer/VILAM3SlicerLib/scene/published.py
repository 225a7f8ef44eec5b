"""The whole axial slice in the published window: the picture the released checkpoints were trained with.

The rules (slice, window, rounding, turning) are those of the VILA-M3 demo's ``experts/utils.py``, checked to
the last bit against pictures that the original code made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from VILAM3SlicerLib.scene.arrays import Array
from VILAM3SlicerLib.scene.flat_scans import slice_axis
from VILAM3SlicerLib.scene.geometry import Affine, closest_ras_axes, ijk_to_ras, invert, transform_point
from VILAM3SlicerLib.scene.picture import Picture
from VILAM3SlicerLib.scene.volumes import voxel_array

CT_RANGE = (-150.0, 250.0)
"""HU shown black and white for CT: level 50, window 400."""


def publish(node: Any, ras: Sequence[float], modality: str) -> Picture:
    """The whole slice through a point, along the voxel axis closest to head-feet; of a radiograph all of it.

    Patient right is on the picture's left, anterior at the top, pixels are voxels (not made square). For an
    oblique volume the slice is oblique too and the matrix says so. A point outside gives the nearest slice.

    Args:
        node: a volume node that passed ``volumes.check_volume``.
        ras: RAS in mm, in the volume's own frame.
        modality: ``CT`` takes the window of -150 to 250 HU, all others the volume's own range.
    """
    matrix = ijk_to_ras(node)
    found, through = closest_ras_axes(matrix), slice_axis(node)
    axes = [*(found[axis] for axis in range(3) if axis != through), found[through]]
    voxels = voxel_array(node).transpose(2, 1, 0)
    superior = axes[2][0]
    position = transform_point(invert(matrix), ras)[superior]
    index = int(np.clip(np.rint(position), 0, voxels.shape[superior] - 1))
    window = CT_RANGE if modality == "CT" else _finite_range(voxels)
    values = _right_anterior(voxels, axes, index)
    return Picture(
        pixels=np.ascontiguousarray(_grey(values, window).T[::-1, ::-1]),
        pixel_to_ras=matrix @ _pixel_to_ijk(voxels.shape, axes, index),
        window=window[1] - window[0],
        level=(window[0] + window[1]) / 2,
    )


def _right_anterior(voxels: Array, axes: Sequence[tuple[int, bool]], index: int) -> Array:
    """The slice as shape (R, A), R and A ascending."""
    (right, _), (anterior, _), (superior, _) = axes
    ordered = np.moveaxis(voxels, (right, anterior, superior), (0, 1, 2))[:, :, index]
    return ordered[tuple(slice(None, None, -1 if backwards else 1) for _, backwards in axes[:2])]


def _pixel_to_ijk(shape: Sequence[int], axes: Sequence[tuple[int, bool]], index: int) -> Affine:
    """Columns run to the patient's left, rows to posterior: against R and A."""
    matrix = np.zeros((4, 4))
    matrix[3, 3] = 1.0
    for pixel_axis, (voxel_axis, backwards) in enumerate(axes[:2]):
        matrix[voxel_axis, pixel_axis] = 1.0 if backwards else -1.0
        matrix[voxel_axis, 3] = 0.0 if backwards else shape[voxel_axis] - 1
    superior, backwards = axes[2]
    matrix[superior, 2] = -1.0 if backwards else 1.0
    matrix[superior, 3] = index
    return matrix


def _grey(values: Array, window: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """Single precision and truncation, as published; a volume of one value is black."""
    low, high = (np.float32(end) for end in window)
    if low == high:
        return np.zeros(values.shape, np.uint8)
    share = (values.astype(np.float32) - low) / (high - low)
    grey: npt.NDArray[np.uint8] = np.nan_to_num(np.clip(share * np.float32(255), 0, 255), nan=0.0).astype(
        np.uint8
    )
    return grey


def _finite_range(voxels: Array) -> tuple[float, float]:
    low, high = float(voxels.min()), float(voxels.max())
    if np.isfinite(high - low):
        return low, high
    finite = voxels[np.isfinite(voxels)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
