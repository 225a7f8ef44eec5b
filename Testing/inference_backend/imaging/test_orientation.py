"""Axis permutations and flips, against SimpleITK's own reorientation."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK

from inference_backend.imaging.orientation import closest_ras
from inference_backend.imaging.volume import Volume

RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def simpleitk_image(volume: Volume) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(volume.voxels.transpose(2, 1, 0))
    lps = RAS_FROM_LPS @ volume.ijk_to_ras
    image.SetSpacing(volume.spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / volume.spacing).ravel().tolist())
    return image


def rotation(degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    about_x = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    about_z = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    return about_x @ about_z


def volume_with_axes(order: tuple[int, ...], signs: tuple[int, ...], degrees: float) -> Volume:
    axes = np.zeros((3, 3))
    for column, (axis, sign) in enumerate(zip(order, signs, strict=True)):
        axes[axis, column] = sign
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(degrees) @ axes @ np.diag([0.7, 1.1, 2.5])
    matrix[:3, 3] = (12.5, -80.0, 33.0)
    return Volume(np.random.default_rng(0).integers(-1000, 1000, (4, 5, 6)).astype(np.int16), matrix)


@pytest.mark.parametrize("degrees", [0.0, 17.0])
def test_closest_ras_is_where_simpleitk_puts_it(degrees: float) -> None:
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        volume = volume_with_axes(order, signs, degrees)
        turned, _ = closest_ras(volume)
        expected = SimpleITK.DICOMOrient(simpleitk_image(volume), "RAS")
        np.testing.assert_array_equal(turned.voxels.transpose(2, 1, 0), SimpleITK.GetArrayFromImage(expected))
        np.testing.assert_allclose((RAS_FROM_LPS @ turned.ijk_to_ras)[:3, 3], expected.GetOrigin(), atol=1e-9)


def test_the_way_back_is_exact_for_every_storage_order() -> None:
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        volume = volume_with_axes(order, signs, 10.0)
        turned, reorientation = closest_ras(volume)
        np.testing.assert_array_equal(reorientation.to_source(turned.voxels), volume.voxels)
