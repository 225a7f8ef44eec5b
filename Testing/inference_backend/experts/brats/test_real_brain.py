"""Four simulated sequences of a real brain: MONAI's labels, any storage, and whose brain it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from inference_backend.conversation.interfaces import View
from inference_backend.experts.brats.expert import SEGMENTS, Brats, tumour_told
from inference_backend.experts.brats.study import read_study
from inference_backend.experts.feedback import feedback
from inference_backend.experts.interface import ExpertRequest, Segmentation, SequenceVolume
from inference_backend.imaging.volume import Volume
from Testing.inference_backend.experts.brats.bundle import monais_answer
from Testing.inference_backend.experts.brats.simulated_study import another_patient, simulated, tissue_maps
from Testing.inference_backend.experts.storage import ORDERS, cropped, stored_as, tilted
from Testing.inference_backend.imaging.test_overlay import CASES, pixels_of, png, published_view
from VILAM3SlicerLib.protocol.errors import ExpertError
from VILAM3SlicerLib.protocol.mri_sequences import ROLES

TUMOUR = (50.0, 90.0, 80.0)
REGION = (slice(28, 72), slice(66, 114), slice(62, 98))
"""A part of the brain with the tumour in it, that a small network gets through in seconds."""


@pytest.fixture(scope="module")
def tissue(data_folder: Path) -> Volume:
    return tissue_maps(data_folder / "brain_tissue")


@pytest.fixture(scope="module")
def study(tissue: Volume) -> list[Volume]:
    return simulated(tissue, tumour_at=TUMOUR)


@pytest.fixture(scope="module")
def region(study: list[Volume]) -> list[Volume]:
    """Stored as the BraTS data are: LPS."""
    return [stored_as(cropped(volume, *REGION), (0, 1, 2), (0, 1)) for volume in study]


@pytest.fixture(scope="module")
def expected(brats: Brats, region: list[Volume]) -> np.ndarray:
    return labels_of(brats, region).labelmap.voxels


def named(volumes: Sequence[Volume]) -> list[SequenceVolume]:
    return [SequenceVolume("", role, volume) for role, volume in zip(ROLES, volumes, strict=True)]


def labels_of(expert: Brats, volumes: Sequence[Volume], asked: int = 0) -> Segmentation:
    request = ExpertRequest("", volumes[asked], sequences=tuple(named(volumes)))
    return expert.run(request, lambda fraction, words: None, lambda: False)


def test_labels_of_a_real_brain_are_the_bundles(
    expected: np.ndarray, bundle: Path, region: list[Volume], tmp_path: Path
) -> None:
    files = [tmp_path / f"{role}.nii.gz" for role in ROLES]
    for file, volume in zip(files, region, strict=True):
        nibabel.save(nibabel.Nifti1Image(volume.voxels, volume.ijk_to_ras), file)
    monais, is_certain = monais_answer(bundle, files)
    assert {1, 2, 4} <= set(np.unique(monais)), "an answer without all labels proves little"
    assert is_certain.mean() > 0.95
    assert not ((expected != monais) & is_certain).any()


@pytest.mark.parametrize(("order", "flipped"), ORDERS)
def test_any_storage_gives_the_same_labels_in_the_same_place(
    brats: Brats, region: list[Volume], expected: np.ndarray, order: tuple[int, int, int], flipped: tuple
) -> None:
    stored = [stored_as(tilted(volume), order, flipped) for volume in region]
    found = labels_of(brats, stored, asked=2).labelmap
    np.testing.assert_array_equal(np.flip(found.voxels, flipped), expected.transpose(order))
    np.testing.assert_array_equal(found.ijk_to_ras, stored[2].ijk_to_ras)


def test_asked_about_thick_slices_the_labels_are_where_they_are_in_the_patient(
    brats: Brats, region: list[Volume], expected: np.ndarray
) -> None:
    """FLAIR with slices of 2 mm beside three sequences of 1 mm; SimpleITK says which label lies where."""
    matrix = region[3].ijk_to_ras.copy()
    matrix[:3, 2] *= 2
    thick = Volume(np.asfortranarray(region[3].voxels[:, :, ::2]), matrix)
    result = labels_of(brats, [*region[:3], thick], asked=3)
    assert any("Resampled onto the grid of T1c: FLAIR." in note for note in result.notes)
    on_first = labels_of(brats, [*region[:3], thick]).labelmap
    moved = SimpleITK.Resample(
        image_of(on_first), image_of(thick), SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor
    )
    np.testing.assert_array_equal(
        result.labelmap.voxels, SimpleITK.GetArrayFromImage(moved).transpose(2, 1, 0)
    )
    assert result.labelmap.voxels.shape == thick.voxels.shape


def image_of(volume: Volume) -> SimpleITK.Image:
    """Through a NIfTI header, which nibabel writes and ITK reads."""
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(volume.voxels.transpose(2, 1, 0)))
    matrix = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.ijk_to_ras
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    image.SetOrigin(matrix[:3, 3].tolist())
    image.SetSpacing(spacing.tolist())
    image.SetDirection((matrix[:3, :3] / spacing).ravel().tolist())
    return image


@pytest.mark.parametrize("case", [case for case in CASES if "MRI" in case])
def test_the_model_is_told_of_a_tumour_as_published(case: str, golden: Path) -> None:
    """Words and overlay of the original code, from the labels to what goes into the prompt."""
    axes, _, index = case.split("_")
    volumes, slices = (np.load(golden / "slices" / f"{name}.npz") for name in ("volumes", "slices"))
    labelmap = Volume(volumes["brats"], volumes[f"affine_{axes}"])
    geometry = published_view(labelmap.ijk_to_ras, labelmap.voxels, int(index))
    result = Segmentation(labelmap, SEGMENTS, told=tumour_told)
    told = feedback(result, [View(png(slices[f"{case}_image"]), geometry)], tells_sizes=False)
    assert told.text == json.loads((golden / "slices" / "slices.json").read_text())[case]["text"]
    np.testing.assert_array_equal(pixels_of(told.image), slices[f"{case}_overlay"])


def test_one_patients_sequences_are_taken_without_a_word(study: list[Volume]) -> None:
    assert read_study(named(study), study[0]).notes == ()


def test_sequences_a_millimetre_aside_or_in_thick_slices_are_taken(study: list[Volume]) -> None:
    aside = study[1].ijk_to_ras.copy()
    aside[:2, 3] += (1.0, -1.0)
    matrix = study[3].ijk_to_ras.copy()
    matrix[:3, 2] *= 4
    matrix[:3, 3] += matrix[:3, 2] * 3 / 8
    slabs = study[3].voxels[:, :, : study[3].voxels.shape[2] // 4 * 4]
    slabs = slabs.reshape(*slabs.shape[:2], -1, 4).mean(axis=3)
    changed = [study[0], Volume(study[1].voxels, aside), study[2], Volume(slabs, matrix)]
    notes = read_study(named(changed), study[0]).notes
    assert notes == ("Resampled onto the grid of T1c: T1, FLAIR.",)


def test_noise_around_the_head_changes_nothing_of_that(study: list[Volume], tissue: Volume) -> None:
    """As scans have it before the skull is taken off."""
    stranger = simulated(another_patient(tissue, seed=8), seed=9)
    generator = np.random.default_rng(3)

    def framed(volume: Volume) -> Volume:
        wide = np.pad(volume.voxels, 16)
        noise = np.abs(generator.normal(0, 20, wide.shape)).astype(np.float32)
        return volume.with_voxels(np.where(wide == 0, noise, wide))

    noisy = [framed(volume) for volume in study]
    assert not any("fits" in note for note in read_study(named(noisy), noisy[0]).notes)
    with pytest.raises(ExpertError, match="FLAIR and T1c do not seem to show the same brain"):
        read_study(named([*noisy[:3], framed(stranger[3])]), noisy[0])


def test_the_sequence_of_another_patient_in_the_same_space_is_refused(
    study: list[Volume], tissue: Volume
) -> None:
    stranger = simulated(another_patient(tissue, seed=8), seed=9)
    overlap = 2 * ((study[0].voxels > 0) & (stranger[3].voxels > 0)).sum()
    assert overlap / ((study[0].voxels > 0).sum() + (stranger[3].voxels > 0).sum()) > 0.9
    assert read_study(named(stranger), stranger[0]).notes == ()
    for place, role in enumerate(ROLES[1:], 1):
        mixed = [*study]
        mixed[place] = stranger[place]
        with pytest.raises(ExpertError, match=f"{role} and T1c do not seem to show the same brain"):
            read_study(named(mixed), study[0])
