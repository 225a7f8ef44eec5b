"""Volumes in SimpleITK's world, and the same patient on other grids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK

from inference_backend.imaging.volume import Volume
from Testing.inference_backend.experts.storage import oblique_grid

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def itk_image(voxels: np.ndarray, ijk_to_ras: np.ndarray) -> SimpleITK.Image:
    """Voxels (I, J, K) as a SimpleITK image, whose world is LPS."""
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(voxels.T))
    matrix = LPS @ ijk_to_ras
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((matrix[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(matrix[:3, 3].tolist())
    return image


def sampled(
    image: SimpleITK.Image, shape: Sequence[int], ijk_to_ras: np.ndarray, how: int, outside: float
) -> np.ndarray:
    """An image on another grid, as an array (I, J, K)."""
    grid = itk_image(np.zeros(tuple(shape), np.uint8), ijk_to_ras)
    return SimpleITK.GetArrayFromImage(SimpleITK.Resample(image, grid, SimpleITK.Transform(), how, outside)).T


def slanting(volume: Volume) -> Volume:
    """The same patient scanned on a grid that stands aslant in him."""
    grid = oblique_grid(volume, (2.51, 2.03, 3.07))
    image = itk_image(volume.voxels, volume.ijk_to_ras)
    linear = SimpleITK.sitkLinear
    return grid.with_voxels(sampled(image, grid.voxels.shape, grid.ijk_to_ras, linear, -1024))
