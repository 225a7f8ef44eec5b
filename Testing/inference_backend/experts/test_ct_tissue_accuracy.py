"""The expert on real scans, against the labels that came with them (TotalSegmentator's numbering)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from inference_backend.experts.interface import Segmentation
from inference_backend.imaging.volume import Volume

LEFT_LUNG, RIGHT_LUNG, TRACHEA = (10, 11), (12, 13, 14), (16,)
BONES = (*range(25, 51), *range(69, 79), 91, *range(92, 117))
HEART_AND_VESSELS = tuple(range(51, 69))


def dice(found: np.ndarray, reference: np.ndarray) -> float:
    return 2 * float((found & reference).sum()) / float(found.sum() + reference.sum())


def mask(result: Segmentation, name: str) -> np.ndarray:
    (segment,) = (segment for segment in result.segments if segment.name == name)
    return np.isin(result.labelmap.voxels, segment.label_values)


@pytest.fixture(scope="module")
def chest(run: Callable[[Volume, str], Segmentation], chest_ct: Volume) -> Segmentation:
    return run(chest_ct, "everything")


@pytest.fixture(scope="module")
def abdomen(run: Callable[[Volume, str], Segmentation], abdomen_ct: Volume) -> Segmentation:
    return run(abdomen_ct, "everything")


@pytest.mark.slow
def test_lungs_reach_the_bars(chest: Segmentation, chest_reference: np.ndarray) -> None:
    left, right = mask(chest, "left lung"), mask(chest, "right lung")
    assert dice(left, np.isin(chest_reference, LEFT_LUNG)) >= 0.95
    assert dice(right, np.isin(chest_reference, RIGHT_LUNG)) >= 0.95
    assert dice(left | right, np.isin(chest_reference, LEFT_LUNG + RIGHT_LUNG)) >= 0.97


@pytest.mark.slow
def test_bone_is_told_from_contrast(
    chest: Segmentation, chest_ct: Volume, chest_reference: np.ndarray
) -> None:
    bones = np.isin(chest_reference, BONES)
    assert dice(mask(chest, "bone"), bones) >= 0.75
    assert dice(chest_ct.voxels > 200, bones) < 0.55
    heart_or_aorta = np.isin(chest_reference, (51, 52))
    assert (mask(chest, "bone") & heart_or_aorta).sum() < 0.05 * heart_or_aorta.sum()


@pytest.mark.slow
def test_windpipe_and_contrast_filled_blood_are_found(
    chest: Segmentation, chest_reference: np.ndarray
) -> None:
    assert dice(mask(chest, "trachea and airways"), np.isin(chest_reference, TRACHEA)) >= 0.75
    assert dice(mask(chest, "heart and vessels"), np.isin(chest_reference, HEART_AND_VESSELS)) >= 0.7


@pytest.mark.slow
def test_everything_lies_on_the_grid_of_the_scan(chest: Segmentation, chest_ct: Volume) -> None:
    assert chest.labelmap.voxels.shape == chest_ct.voxels.shape
    np.testing.assert_array_equal(chest.labelmap.ijk_to_ras, chest_ct.ijk_to_ras)
    np.testing.assert_array_equal(mask(chest, "body"), chest.labelmap.voxels > 0)


@pytest.mark.parametrize("name", ["bone", "body"])
def test_another_body_part_without_contrast(
    name: str, abdomen: Segmentation, abdomen_reference: np.ndarray
) -> None:
    if name == "bone":
        assert dice(mask(abdomen, name), np.isin(abdomen_reference, BONES)) >= 0.75
    else:
        organs = abdomen_reference > 0
        assert (mask(abdomen, name) & organs).sum() >= 0.99 * organs.sum()


def test_where_there_is_no_contrast_there_are_no_vessels(abdomen: Segmentation) -> None:
    assert not mask(abdomen, "heart and vessels").any()
    assert not mask(abdomen, "trachea and airways").any()


def test_the_table_is_not_body(abdomen: Segmentation, abdomen_ct: Volume) -> None:
    """In this scan the table lies within the five rearmost rows of voxels, free of the body."""
    assert (abdomen_ct.voxels[:, :5] > -300).any()
    assert not mask(abdomen, "body")[:, :2].any()
