"""The same patient, stored in other ways."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from inference_backend.imaging.volume import Volume

ORDERS = [((0, 1, 2), (0, 1)), ((2, 0, 1), ()), ((1, 2, 0), (0, 2)), ((2, 1, 0), (0, 1, 2))]
"""Permutations of the voxel axes, and the new axes that run the other way; the first is RAS to LPS."""


def stored_as(volume: Volume, order: tuple[int, int, int], flipped: tuple[int, ...]) -> Volume:
    """The same patient with the voxel axes permuted and some of them running the other way."""
    matrix = volume.ijk_to_ras[:, [*order, 3]].copy()
    voxels = volume.voxels.transpose(order)
    for axis in flipped:
        matrix[:3, 3] += matrix[:3, axis] * (voxels.shape[axis] - 1)
        matrix[:3, axis] *= -1
    return Volume(np.flip(voxels, flipped), matrix)


def tilted(volume: Volume, degrees: float = 20) -> Volume:
    """The patient turned about the long axis, scan and all."""
    turn = np.eye(4)
    angle = np.radians(degrees)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return Volume(volume.voxels, turn @ volume.ijk_to_ras)


def cropped(volume: Volume, *region: slice) -> Volume:
    """A part of the scan, where it was."""
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 3] = (matrix @ (*(part.start or 0 for part in region), 1))[:3]
    return Volume(np.asfortranarray(volume.voxels[region]), matrix)


def every(volume: Volume, *steps: int) -> Volume:
    """Every n-th voxel along each axis, where it was."""
    voxels = volume.voxels[tuple(slice(None, None, step) for step in steps)]
    return Volume(np.asfortranarray(voxels), volume.ijk_to_ras @ np.diag([*steps, 1.0]))


def oblique_grid(volume: Volume, spacing: tuple[float, float, float]) -> Volume:
    """Zeros on a grid that stands aslant in the patient and holds the middle of the scan."""
    turn = Rotation.from_euler("zxy", [17, -11, 8], degrees=True).as_matrix()
    extent = volume.spacing * volume.voxels.shape
    shape = (0.9 * np.abs(turn.T) @ extent / spacing).astype(int)
    matrix = np.eye(4)
    matrix[:3, :3] = turn * spacing
    middle = (volume.ijk_to_ras @ [*(np.array(volume.voxels.shape) - 1) / 2, 1])[:3]
    matrix[:3, 3] = middle - matrix[:3, :3] @ ((shape - 1) / 2)
    return Volume(np.zeros(shape, np.uint8), matrix)
