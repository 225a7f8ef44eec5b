"""The expert with odd storage, odd values and impatient people."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import SimpleITK

from inference_backend.experts.ct_tissue import create
from inference_backend.experts.ct_tissue.structures import ARGUMENTS
from inference_backend.experts.interface import ExpertRequest, Segmentation
from inference_backend.imaging.volume import Volume
from Testing.inference_backend.experts.simple_itk import itk_image, sampled, slanting
from Testing.inference_backend.experts.storage import ORDERS, every, stored_as, tilted
from VILAM3SlicerLib.protocol.errors import Cancelled, ExpertError, InvalidRequest

Run = Callable[[Volume, str], Segmentation]


@pytest.fixture(scope="module")
def abdomen_lungs(run: Run, abdomen_ct: Volume) -> np.ndarray:
    return run(abdomen_ct, "lungs").labelmap.voxels


@pytest.mark.parametrize(("order", "flipped"), ORDERS)
def test_any_storage_order_gives_the_same_labels_in_the_same_place(
    run: Run,
    abdomen_ct: Volume,
    abdomen_lungs: np.ndarray,
    order: tuple[int, int, int],
    flipped: tuple[int, ...],
) -> None:
    result = run(stored_as(abdomen_ct, order, flipped), "lungs").labelmap.voxels
    np.testing.assert_array_equal(np.flip(result, flipped), abdomen_lungs.transpose(order))


def test_a_tilted_patient_has_the_same_lungs(run: Run, abdomen_ct: Volume, abdomen_lungs: np.ndarray) -> None:
    np.testing.assert_array_equal(run(tilted(abdomen_ct), "lungs").labelmap.voxels, abdomen_lungs)


def test_a_scan_that_stands_aslant_in_the_patient_has_the_reference_lungs(
    run: Run, chest_ct: Volume, chest_reference: np.ndarray
) -> None:
    """The chest, whose lungs the scan does not cut: beside the scan there is nothing but air."""
    volume = slanting(every(chest_ct, 3, 3, 1))
    image = itk_image(chest_reference, chest_ct.ijk_to_ras)
    nearest = SimpleITK.sitkNearestNeighbor
    reference = sampled(image, volume.voxels.shape, volume.ijk_to_ras, nearest, 0)
    found = run(volume, "lungs").labelmap.voxels
    for label, lobes in ((1, (10, 11)), (2, (12, 13, 14))):
        assert dice(found == label, np.isin(reference, lobes)) >= 0.95


@pytest.mark.parametrize("argument", ["lungs", "bone", "body"])
def test_a_table_in_view_changes_nothing(run: Run, abdomen_ct: Volume, argument: str) -> None:
    """In this scan the table lies within the five rearmost rows of voxels, free of the body."""
    assert (abdomen_ct.voxels[:, :5] > -300).any()
    bare = abdomen_ct.voxels.copy()
    bare[:, :5] = -1024
    with_table = run(abdomen_ct, argument).labelmap.voxels > 0
    assert dice(with_table, run(abdomen_ct.with_voxels(bare), argument).labelmap.voxels > 0) > 0.99


PARTS = {
    "the half on the left": np.s_[:61],
    "the half on the right": np.s_[61:],
    "the front": np.s_[:, 50:],
    "the back": np.s_[:, :50],
    "the upper half": np.s_[:, :, 56:],
    "the middle, all around cut": np.s_[24:-24, 20:-20],
}


@pytest.mark.parametrize("part", PARTS)
def test_part_of_a_body_has_the_lungs_that_the_whole_has_there(
    run: Run, abdomen_ct: Volume, abdomen_lungs: np.ndarray, part: str
) -> None:
    cut = Volume(np.ascontiguousarray(abdomen_ct.voxels[PARTS[part]]), abdomen_ct.ijk_to_ras)
    found, expected = run(cut, "lungs").labelmap.voxels, abdomen_lungs[PARTS[part]]
    for label in (1, 2):
        assert dice(found == label, expected == label) >= 0.95


def test_a_circle_cut_out_of_the_body_has_its_lungs_too(
    run: Run, abdomen_ct: Volume, abdomen_lungs: np.ndarray
) -> None:
    """As in a scan of the heart: a small field of view with padding around it."""
    square = np.s_[31:-31, 10:70, 56:]
    voxels = abdomen_ct.voxels[square].copy()
    across, deep = np.ogrid[:60, :60]
    outside = np.hypot(across - 29.5, deep - 29.5) > 30
    voxels[outside] = -2048
    found = run(Volume(voxels, abdomen_ct.ijk_to_ras), "lungs").labelmap.voxels > 0
    expected = (abdomen_lungs[square] > 0) & ~outside[:, :, None]
    assert dice(found, expected) >= 0.9


@pytest.mark.parametrize("step", [(1, 1, 4), (2, 1, 1), (1, 2, 2)])
def test_thick_slices_in_any_direction_have_the_same_lungs(
    run: Run, abdomen_ct: Volume, abdomen_lungs: np.ndarray, step: tuple[int, int, int]
) -> None:
    every = tuple(slice(None, None, stride) for stride in step)
    thick = Volume(np.ascontiguousarray(abdomen_ct.voxels[every]), abdomen_ct.ijk_to_ras * [*step, 1])
    found = run(thick, "lungs").labelmap.voxels
    for label in (1, 2):
        assert dice(found == label, abdomen_lungs[every] == label) >= 0.95


def dice(found: np.ndarray, expected: np.ndarray) -> float:
    """1 where both are empty."""
    total = float(found.sum() + expected.sum())
    return 2 * float((found & expected).sum()) / total if total else 1.0


def test_left_is_left(abdomen_ct: Volume, abdomen_lungs: np.ndarray, abdomen_reference: np.ndarray) -> None:
    """The liver lies under the right lung, the spleen under the left one."""
    across = [np.argwhere(abdomen_lungs == label)[:, 0].mean() for label in (1, 2)]
    spleen, liver = (np.argwhere(abdomen_reference == label)[:, 0].mean() for label in (1, 5))
    assert (across[0] < across[1]) == (spleen < liver)


def test_padding_outside_the_field_of_view_is_air(
    run: Run, abdomen_ct: Volume, abdomen_lungs: np.ndarray
) -> None:
    padded = abdomen_ct.voxels.copy()
    padded[padded < -1000] = -2048
    expected = abdomen_lungs > 0
    found = run(abdomen_ct.with_voxels(padded), "lungs").labelmap.voxels > 0
    assert 2 * (found & expected).sum() >= 0.99 * (found.sum() + expected.sum())


def test_values_that_are_not_numbers_are_air(run: Run, abdomen_ct: Volume) -> None:
    broken = abdomen_ct.voxels.astype(np.float32)
    broken[:3] = np.nan
    broken[3, :3] = np.inf
    assert run(abdomen_ct.with_voxels(broken), "body").labelmap.voxels.any()


def refused(voxels: np.ndarray) -> str:
    volume = Volume(voxels, np.diag([3.0, 3.0, 3.0, 1.0]))
    with pytest.raises(ExpertError) as error:
        create().run(ExpertRequest("lungs", volume), lambda fraction, words: None, lambda: False)
    assert error.value.hint
    return error.value.message


def test_what_is_no_ct_is_refused_with_the_reason(abdomen_ct: Volume) -> None:
    generator = np.random.default_rng(1)
    assert "Hounsfield" in refused(generator.integers(0, 250, (40, 40, 20)).astype(np.uint8))
    assert "Hounsfield" in refused(generator.random((40, 40, 20)))
    assert "Hounsfield" in refused(generator.random((40, 40, 20)) + 1j)
    assert "tissue" in refused(abdomen_ct.voxels + 2000)
    assert "tissue" in refused(np.full((40, 40, 20), -1000, np.int16))
    assert "slice" in refused(abdomen_ct.voxels[:, :, :2])


def test_lost_rescale_intercept_is_named(abdomen_ct: Volume) -> None:
    shifted = (abdomen_ct.voxels.clip(-1024) + 1024).astype(np.uint16)
    assert "Hounsfield" in refused(shifted) or "tissue" in refused(shifted)


@pytest.mark.parametrize("padding", [-2000, -2048, -3024])
def test_any_padding_outside_the_field_of_view_is_taken_for_air(
    run: Run, abdomen_ct: Volume, padding: int
) -> None:
    padded = abdomen_ct.voxels.copy()
    padded[:8] = padding
    assert run(abdomen_ct.with_voxels(padded), "body").labelmap.voxels.any()


def test_noise_around_zero_is_no_body() -> None:
    assert refused(np.random.default_rng(2).normal(-400, 300, (60, 60, 30)).astype(np.int16))


@pytest.mark.parametrize("shape", [(3, 3, 3), (200, 4, 4), (40, 40, 3)])
def test_small_blocks_of_tissue_do_not_break_it(run: Run, shape: tuple[int, int, int]) -> None:
    voxels = np.full(shape, 40, np.int16)
    voxels[0] = -100
    result = run(Volume(voxels, np.diag([3.0, 3.0, 3.0, 1.0])), "everything")
    assert result.labelmap.voxels.shape == shape


def test_stopping_ends_the_work_at_the_next_step(abdomen_ct: Volume) -> None:
    said: list[tuple[float, str]] = []
    with pytest.raises(Cancelled):
        create().run(
            ExpertRequest("everything", abdomen_ct), lambda *step: said.append(step), lambda: len(said) >= 3
        )
    assert len(said) == 3


def test_progress_goes_forward_in_words(abdomen_ct: Volume) -> None:
    said: list[tuple[float, str]] = []
    create().run(ExpertRequest("lungs", abdomen_ct), lambda *step: said.append(step), lambda: False)
    fractions = [fraction for fraction, _ in said]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] <= fractions[-1] <= 1
    assert "finding the lungs" in [words for _, words in said]


def test_each_argument_gives_its_segments_only(run: Run, abdomen_ct: Volume) -> None:
    result = run(abdomen_ct, " Left  LUNG ")
    assert [segment.name for segment in result.segments] == ["left lung"]
    assert set(np.unique(result.labelmap.voxels)) == {0, 1}


def test_an_unknown_argument_is_refused_with_the_valid_ones(abdomen_ct: Volume) -> None:
    with pytest.raises(InvalidRequest) as error:
        create().run(ExpertRequest("spleen", abdomen_ct), lambda fraction, words: None, lambda: False)
    assert all(argument in error.value.hint for argument in ARGUMENTS)


def test_terminology_is_in_slicers_list() -> None:
    trame_slicer = pytest.importorskip("trame_slicer")
    from pathlib import Path

    from inference_backend.experts.ct_tissue.structures import Tissue, segments_of

    (listed,) = Path(trame_slicer.__file__).parent.rglob("*SlicerGeneralAnatomy.term.json")
    text = listed.read_text()
    for segment in segments_of(tuple(Tissue)):
        assert not segment.terminology or f'"3dSlicerLabel": "{segment.terminology}"' in text
