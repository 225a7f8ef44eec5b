"""Morphology in millimetres against scipy's exact Euclidean distances."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from inference_backend.experts.ct_tissue import morphology

Spacing = tuple[float, float, float]
SPACINGS: list[Spacing] = [(1.0, 1.0, 1.0), (1.4, 1.4, 2.5), (0.9, 3.1, 1.7), (3.0, 3.0, 8.0)]


@pytest.fixture(params=[(31, 22, 40), (9, 30, 17), (5, 3, 3)])
def mask(request: pytest.FixtureRequest) -> np.ndarray:
    """Blobs of all sizes, some cut by the border."""
    noise = ndimage.gaussian_filter(np.random.default_rng(3).normal(size=request.param), 1.2)
    return noise > np.quantile(noise, 0.8)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("millimetres", [0.5, 1.5, 4.0, 8.3, 30.0])
def test_dilation_reaches_what_is_near_and_erosion_keeps_what_is_deep(
    mask: np.ndarray, spacing: Spacing, millimetres: float
) -> None:
    away = ndimage.distance_transform_edt(~mask, spacing)
    deep = ndimage.distance_transform_edt(mask, spacing)
    np.testing.assert_array_equal(morphology.dilate(mask, millimetres, spacing), away <= millimetres)
    np.testing.assert_array_equal(morphology.erode(mask, millimetres, spacing), deep > millimetres)


def test_a_radius_of_whole_voxels_reaches_the_last_of_them() -> None:
    point = np.zeros((9, 9, 9), bool)
    point[4, 4, 4] = True
    grown = morphology.dilate(point, 4.5, (1.5, 1.5, 1.5))
    assert np.argwhere(grown[:, 4, 4]).ravel().tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_nothing_grows_from_nothing_and_the_border_eats_nothing() -> None:
    empty = np.zeros((4, 5, 6), bool)
    assert not morphology.dilate(empty, 50.0, (1.0, 1.0, 1.0)).any()
    assert morphology.erode(~empty, 50.0, (1.0, 1.0, 1.0)).all()
