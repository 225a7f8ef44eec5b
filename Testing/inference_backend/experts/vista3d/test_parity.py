"""The expert against the bundle's own workflow, run by MONAI on the same random weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from inference_backend.conversation.model_cards import VISTA3D
from inference_backend.experts.vista3d.expert import Vista3d
from inference_backend.experts.vista3d.model import Vista3dModel
from inference_backend.experts.vista3d.structures import structures_asked_for
from inference_backend.experts.weights import WeightsAt
from inference_backend.imaging.volume import Volume
from Testing.inference_backend.experts.vista3d.bundle import EVERYTHING, Answer, monais_answer, write_bundle
from Testing.inference_backend.experts.vista3d.conftest import segmented
from VILAM3SlicerLib.protocol.messages import PointPrompt

MARKED = [[9.2, 10.3, 8.1], [14.2, 15.1, 12.3]]
"""Voxels; not whole ones, as a window starts at the whole number below."""


@pytest.fixture(scope="module")
def file(piece_of_ct: Volume, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ct") / "ct.nii.gz"
    nibabel.save(nibabel.Nifti1Image(piece_of_ct.voxels, piece_of_ct.ijk_to_ras), path)
    return path


def assert_same(found: np.ndarray, expected: Answer, looked_at: float = 1.0) -> None:
    assert len(np.unique(expected.labels)) > 1, "an empty answer proves nothing"
    assert expected.is_certain.mean() > 0.75 * looked_at  # of many random classes two are often alike
    differs = (found != expected.labels) & expected.is_certain
    assert not differs.any(), f"{differs.sum()} of {differs.size} voxels differ"


@pytest.mark.parametrize(
    ("argument", "prompts"),
    [
        ("everything", EVERYTHING),
        ("lung tumor", [20, 23]),
        ("Spleen", [3]),
        *((group, None) for group in VISTA3D.arguments if group not in ("everything", "lung tumor")),
    ],
)
def test_class_prompts_give_the_bundles_labels(
    vista3d: Vista3d,
    bundle: Path,
    piece_of_ct: Volume,
    file: Path,
    *,
    argument: str,
    prompts: list[int] | None,
) -> None:
    prompts = prompts or list(structures_asked_for(argument).prompts or ())
    result = segmented(vista3d, argument, piece_of_ct)
    assert_same(result.labelmap.voxels, monais_answer(bundle, file, prompts))
    np.testing.assert_array_equal(result.labelmap.ijk_to_ras, piece_of_ct.ijk_to_ras)


@pytest.mark.parametrize(("name", "label"), [("spleen", 3), ("hepatic vessel", 25)])
def test_points_that_correct_a_structure_give_the_bundles_labels_where_it_looks(
    vista3d: Vista3d, bundle: Path, piece_of_ct: Volume, file: Path, *, name: str, label: int
) -> None:
    voxels, kinds = MARKED, [1, 0]
    result = segmented(vista3d, name, piece_of_ct, *placed(piece_of_ct, voxels, kinds)).labelmap.voxels
    expected = monais_answer(bundle, file, [label], points=voxels, point_labels=kinds)
    looked_at = ~np.isnan(expected.labels)
    assert 0.05 < looked_at.mean() < 1
    assert_same(np.where(looked_at, result, 0), with_zeros(expected), looked_at.mean())
    automatic = segmented(vista3d, name, piece_of_ct).labelmap.voxels
    assert (result != automatic)[looked_at].any(), "the points change something"
    np.testing.assert_array_equal(result[~looked_at], automatic[~looked_at])


def test_points_without_a_structure_give_the_bundles_region(
    vista3d: Vista3d, bundle: Path, piece_of_ct: Volume, file: Path
) -> None:
    voxels, kinds = MARKED, [1, 0]
    result = segmented(vista3d, "everything", piece_of_ct, *placed(piece_of_ct, voxels, kinds))
    expected = monais_answer(bundle, file, [], points=voxels, point_labels=kinds)
    looked_at = ~np.isnan(expected.labels)
    assert_same((result.labelmap.voxels > 0).astype(float), with_zeros(expected), looked_at.mean())
    assert [segment.name for segment in result.segments] == ["structure at the points"]


def placed(volume: Volume, voxels: list[list[float]], kinds: list[int]) -> list[PointPrompt]:
    in_ras = [(volume.ijk_to_ras @ (*voxel, 1))[:3] for voxel in voxels]
    return [
        PointPrompt((float(r), float(a), float(s)), bool(kind))
        for (r, a, s), kind in zip(in_ras, kinds, strict=True)
    ]


def with_zeros(answer: Answer) -> Answer:
    return Answer(np.nan_to_num(answer.labels), answer.is_certain)


def test_a_small_scan_is_padded_as_this_version_of_the_bundle_does(
    piece_of_ct: Volume, tmp_path: Path
) -> None:
    thin = Volume(np.asfortranarray(piece_of_ct.voxels[:, :, :9]), piece_of_ct.ijk_to_ras)
    answers = []
    for version in ("0.5.4", "0.5.10"):
        expert = Vista3d(WeightsAt(write_bundle(tmp_path / version, version)))
        expert.load("cpu")
        assert expert.version == version
        answers.append(segmented(expert, "everything", thin).labelmap.voxels)
    nibabel.save(nibabel.Nifti1Image(thin.voxels, thin.ijk_to_ras), tmp_path / "thin.nii.gz")
    for padding, found in zip(("constant", "replicate"), answers, strict=True):
        expected = monais_answer(tmp_path / "0.5.4", tmp_path / "thin.nii.gz", EVERYTHING, padding=padding)
        assert_same(found, expected)
    assert (answers[0] != answers[1]).any()


def test_the_hugging_face_editions_weights_are_read_too(bundle: Path, tmp_path: Path) -> None:
    released = torch.load(bundle / "models" / "model.pt", weights_only=True)
    for name in ("configs", "vista3d_pretrained_model"):
        (tmp_path / name).mkdir()
    save_file(
        {f"network.{key}": tensor for key, tensor in released.items()},
        tmp_path / "vista3d_pretrained_model" / "model.safetensors",
    )
    alone = Vista3d(WeightsAt(tmp_path)).unavailable_because
    assert "configs/inference.json" in alone
    assert "weights download VISTA3D" in alone
    shutil.copy(bundle / "configs" / "inference.json", tmp_path / "configs")
    assert not Vista3d(WeightsAt(tmp_path)).unavailable_because
    network = Vista3dModel(tmp_path, "cpu").network
    assert all(torch.equal(network.state_dict()[key], tensor) for key, tensor in released.items())
