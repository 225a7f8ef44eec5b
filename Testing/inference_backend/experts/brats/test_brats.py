"""Four sequences of one brain: against MONAI's own workflow, in every storage, refused where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from inference_backend.experts.brats.expert import Brats
from inference_backend.experts.brats.study import read_study
from inference_backend.experts.interface import ExpertRequest, Segmentation, SequenceVolume
from inference_backend.experts.weights import WeightsAt
from inference_backend.imaging.volume import Volume
from Testing.inference_backend.experts.brats.bundle import monais_answer
from Testing.inference_backend.experts.storage import ORDERS, cropped, stored_as, tilted
from VILAM3SlicerLib.protocol.errors import Cancelled, ExpertError, InvalidRequest

NAMES = ("case_t1ce", "case_t1", "case_t2", "case_flair")
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def brain() -> list[Volume]:
    """A brain-like ball without a skull, in four contrasts, stored as the BraTS data are (LPS, 1 mm)."""
    generator = np.random.default_rng(4)
    shape = (28, 30, 22)
    distance = np.linalg.norm(
        [(axis - 0.5 * (size - 1)) / size for axis, size in zip(np.indices(shape), shape, strict=True)],
        axis=0,
    )
    contrasts = [generator.normal(mean, 60, shape) for mean in (500, 400, 700, 300)]
    matrix = LPS.copy()
    matrix[:3, 3] = (90, 120, -60)
    return [
        Volume(np.asfortranarray(np.where(distance < 0.4, values, 0).astype(np.float32)), matrix)
        for values in contrasts
    ]


def study_of(volumes: Sequence[Volume], names: Sequence[str] = NAMES) -> list[SequenceVolume]:
    return [SequenceVolume(name, "", volume) for name, volume in zip(names, volumes, strict=True)]


def segmented(expert: Brats, sequences: Sequence[SequenceVolume]) -> Segmentation:
    request = ExpertRequest("", sequences[0].volume, sequences=tuple(sequences))
    return expert.run(request, lambda fraction, words: None, lambda: False)


def test_labels_are_the_bundles(brats: Brats, bundle: Path, brain: list[Volume], tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.nii.gz" for name in NAMES]
    for file, volume in zip(files, brain, strict=True):
        nibabel.save(nibabel.Nifti1Image(volume.voxels, volume.ijk_to_ras), file)
    expected, is_certain = monais_answer(bundle, files)
    mixed = [study_of(brain)[place] for place in (3, 1, 0, 2)]
    found = segmented(brats, mixed)
    assert {1, 2, 4} <= set(np.unique(expected)), "an answer without all labels proves little"
    assert is_certain.mean() > 0.95
    assert not ((found.labelmap.voxels != expected) & is_certain).any()
    assert brats.version == "0.5.2"


def test_segments_are_nested(brats: Brats, brain: list[Volume]) -> None:
    whole, core, enhancing = segmented(brats, study_of(brain)).segments
    assert [whole.name, core.name, enhancing.name] == ["whole tumor", "tumor core", "enhancing tumor"]
    assert set(whole.label_values) > set(core.label_values) > set(enhancing.label_values)


@pytest.mark.parametrize(("order", "flipped"), ORDERS)
def test_any_storage_order_gives_the_same_labels_in_the_same_place(
    brats: Brats, brain: list[Volume], order: tuple[int, int, int], flipped: tuple[int, ...]
) -> None:
    expected = segmented(brats, study_of(brain)).labelmap.voxels
    mixed = [brain[0], *(stored_as(volume, order, flipped) for volume in brain[1:])]
    np.testing.assert_array_equal(segmented(brats, study_of(mixed)).labelmap.voxels, expected)
    stored = [stored_as(volume, order, flipped) for volume in brain]
    result = segmented(brats, study_of(stored))
    np.testing.assert_array_equal(np.flip(result.labelmap.voxels, flipped), expected.transpose(order))
    np.testing.assert_array_equal(result.labelmap.ijk_to_ras, stored[0].ijk_to_ras)
    assert not any("Resampled" in note for note in result.notes)


def test_a_tilted_study_has_the_same_labels(brats: Brats, brain: list[Volume]) -> None:
    expected = segmented(brats, study_of(brain)).labelmap.voxels
    found = segmented(brats, study_of([tilted(volume) for volume in brain])).labelmap.voxels
    np.testing.assert_array_equal(found, expected)


def test_other_grids_are_resampled_to_the_first_and_that_is_said(brain: list[Volume]) -> None:
    larger = [brain[0], *(cropped(volume, slice(1, 28), slice(0, 30), slice(0, 22)) for volume in brain[1:])]
    study = read_study(study_of(larger), brain[0])
    assert any("Resampled onto the grid of T1c: T1, T2, FLAIR." in note for note in study.notes)
    same = read_study(study_of(brain), brain[0])
    for found, expected in zip(study.channels, same.channels, strict=True):
        inside = found != 0
        np.testing.assert_allclose(found[inside], expected[inside], rtol=1e-4)


def test_thick_slices_are_worked_on_at_one_millimetre_and_come_back(brain: list[Volume]) -> None:
    thick = []
    for volume in brain:
        matrix = volume.ijk_to_ras.copy()
        matrix[:3, 2] *= 2
        thick.append(Volume(np.asfortranarray(volume.voxels[:, :, ::2]), matrix))
    study = read_study(study_of(thick), thick[0])
    np.testing.assert_allclose(np.linalg.norm(study.ijk_to_ras[:3, :3], axis=0), 1.0, atol=1e-6)
    assert study.channels[0].shape == (28, 30, 22)
    brain_again = study.on_source((study.channels[0] > 250).astype(np.uint8))
    mask = thick[0].voxels > 250
    assert 2 * (brain_again.astype(bool) & mask).sum() > 0.95 * (brain_again.sum() + mask.sum())


def refused(sequences: Sequence[SequenceVolume]) -> str:
    with pytest.raises((ExpertError, InvalidRequest)) as error:
        read_study(sequences, Volume(np.zeros((2, 2, 2), np.uint8), np.eye(4)))
    assert error.value.hint
    return error.value.message


@pytest.mark.parametrize("millimetres", [0.001, 1000.0])
def test_a_spacing_that_no_head_has_is_refused(brain: list[Volume], millimetres: float) -> None:
    strange = [Volume(volume.voxels, np.diag([millimetres] * 3 + [1.0])) for volume in brain]
    assert refused(study_of(strange)).startswith("T1c is ")


def test_one_image_in_two_roles_is_refused(brain: list[Volume]) -> None:
    assert refused(study_of([brain[0], brain[1], brain[1], brain[3]])) == "T1 and T2 are the same image."


def test_what_is_missing_is_named(brain: list[Volume]) -> None:
    assert "missing: T1, FLAIR" in refused([study_of(brain)[0], study_of(brain)[2]])
    assert "missing: T1c, T1, T2, FLAIR" in refused([])


def test_a_persons_word_goes_before_a_name(brain: list[Volume]) -> None:
    names = ("series 1", "series 2", "series 3", "series 4")
    assert "missing" in refused(study_of(brain, names))
    roles = ("T1c", "T1", "T2", "FLAIR")
    said = [replace(each, role=role) for each, role in zip(study_of(brain, names), roles, strict=True)]
    assert read_study(said, brain[0]).notes == ()
    guessed = read_study(study_of(brain), brain[0]).notes[0]
    assert guessed == (
        "By their names the sequences were taken as "
        "T1c: case_t1ce, T1: case_t1, T2: case_t2, FLAIR: case_flair."
    )


def test_the_result_lies_on_the_grid_of_the_volume_that_was_asked_about(
    brats: Brats, brain: list[Volume]
) -> None:
    """Asked about a FLAIR that is stored otherwise and cut smaller than the others."""
    expected = segmented(brats, study_of(brain)).labelmap.voxels
    flair = stored_as(cropped(brain[3], slice(1, 28), slice(2, 30), slice(0, 21)), (2, 0, 1), (0,))
    sequences = study_of([*brain[:3], flair])
    found = brats.run(
        ExpertRequest("", flair, sequences=tuple(sequences)), lambda fraction, words: None, lambda: False
    ).labelmap
    np.testing.assert_array_equal(found.ijk_to_ras, flair.ijk_to_ras)
    on_first = np.flip(found.voxels, 0).transpose(1, 2, 0)
    agreement = on_first == expected[1:28, 2:30, 0:21]
    assert agreement.mean() > 0.98


def test_two_volumes_that_could_be_the_same_sequence_are_named(brain: list[Volume]) -> None:
    doubled = [*study_of(brain), SequenceVolume("another t2", "", brain[2])]
    assert "case_t2, another t2" in refused(doubled)


def test_what_does_not_belong_together_is_refused(brain: list[Volume]) -> None:
    moved = Volume(brain[2].voxels, brain[2].ijk_to_ras + np.array([[0, 0, 0, 15.0], *[[0.0] * 4] * 3]))
    assert "T2 does not show the same place" in refused(study_of([brain[0], brain[1], moved, brain[3]]))


def test_what_is_no_mri_is_refused(brain: list[Volume]) -> None:
    first = brain[0]
    assert "CT" in refused(study_of([first, first.with_voxels(first.voxels - 1000), *brain[2:]]))
    assert "empty" in refused(study_of([first.with_voxels(np.zeros_like(first.voxels)), *brain[1:]]))
    assert "slice" in refused(
        study_of([cropped(volume, slice(0, 28), slice(0, 30), slice(0, 2)) for volume in brain])
    )


def test_stopping_ends_it_between_parts(brats: Brats, brain: list[Volume]) -> None:
    said: list[str] = []
    request = ExpertRequest("", brain[0], sequences=tuple(study_of(brain)))
    with pytest.raises(Cancelled):
        brats.run(request, lambda fraction, words: said.append(words), lambda: len(said) >= 4)
    assert said[-1] == "segmenting, part 2"


def test_what_is_said_to_be_no_mri_is_refused(brain: list[Volume], tmp_path: Path) -> None:
    expert = Brats(WeightsAt(tmp_path))
    expert.check(ExpertRequest("", brain[0], sequences=tuple(study_of(brain)), modality="MRI"))
    with pytest.raises(ExpertError, match="said to be CT, not an MRI"):
        expert.check(ExpertRequest("", brain[0], sequences=tuple(study_of(brain)), modality="CT"))


def test_without_weights_it_says_so(tmp_path: Path) -> None:
    assert "lack configs/inference.json" in Brats(WeightsAt(tmp_path)).unavailable_because
