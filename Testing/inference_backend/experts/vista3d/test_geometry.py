"""However a scan is stored, cut or tilted, the labels lie where the tissue is.

The network here is a threshold on the preprocessed image, so the right answer is known: bone above 200 HU,
lung (the label of a lobe) below -500 HU inside the scan. Everything around it is the expert's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from inference_backend.experts.vista3d.expert import Vista3d
from inference_backend.experts.vista3d.model import Vista3dModel
from inference_backend.experts.weights import WeightsAt
from inference_backend.imaging.volume import Volume
from Testing.inference_backend.experts.storage import ORDERS, cropped, stored_as, tilted
from Testing.inference_backend.experts.vista3d.conftest import segmented

LUNG, BONE = 28, 33
LOWEST, HIGHEST = -963.8247715525971, 1053.678477684517


class Thresholds:
    """Implements ``SegmentsByClass``: features are the image and 1, prompt vectors a threshold each."""

    def features(self, windows: torch.Tensor) -> torch.Tensor:
        return torch.cat([windows, torch.ones_like(windows)], 1)

    def prompt_vectors(self, labels: Sequence[int]) -> torch.Tensor:
        lung, bone = ((hu - LOWEST) / (HIGHEST - LOWEST) for hu in (-500, 200))
        vectors = {LUNG: [-1.0, lung], BONE: [1.0, -bone]}
        return torch.tensor([vectors[label] for label in labels])


def thresholds(folder: Path, device: str) -> Vista3dModel:
    model = Vista3dModel(folder, device)
    model.class_prompted = Thresholds()  # type: ignore[assignment]
    model.everything = (LUNG, BONE)
    return model


@pytest.fixture(scope="module")
def expert(bundle: Path) -> Vista3d:
    expert = Vista3d(WeightsAt(bundle), load_model=thresholds)
    expert.load("cpu")
    return expert


@pytest.fixture(scope="module")
def expected(expert: Vista3d, abdomen_ct: Volume) -> np.ndarray:
    return segmented(expert, "everything", abdomen_ct).labelmap.voxels


def dice(found: np.ndarray, reference: np.ndarray) -> float:
    return 2 * float((found & reference).sum()) / float(found.sum() + reference.sum())


def assert_labels_are_on_the_tissue(labels: np.ndarray, volume: Volume) -> None:
    bone, air = volume.voxels > 200, volume.voxels < -500
    assert dice(labels == BONE, bone) > 0.95
    assert dice((labels == LUNG) & air, air) > 0.95


def test_labels_are_on_the_tissue(expected: np.ndarray, abdomen_ct: Volume) -> None:
    assert_labels_are_on_the_tissue(expected, abdomen_ct)


@pytest.mark.parametrize(("order", "flipped"), ORDERS)
def test_any_storage_order_gives_the_same_labels_in_the_same_place(
    expert: Vista3d,
    abdomen_ct: Volume,
    expected: np.ndarray,
    order: tuple[int, int, int],
    flipped: tuple[int, ...],
) -> None:
    stored = stored_as(abdomen_ct, order, flipped)
    result = segmented(expert, "everything", stored)
    np.testing.assert_array_equal(np.flip(result.labelmap.voxels, flipped), expected.transpose(order))
    np.testing.assert_array_equal(result.labelmap.ijk_to_ras, stored.ijk_to_ras)


def test_an_oblique_scan_has_the_same_labels(
    expert: Vista3d, abdomen_ct: Volume, expected: np.ndarray
) -> None:
    found = segmented(expert, "everything", tilted(abdomen_ct)).labelmap.voxels
    assert (found != expected).mean() < 1e-3  # interpolation rounds another way


def test_thick_slices_and_a_cut_scan_have_them_where_the_tissue_is(
    expert: Vista3d, abdomen_ct: Volume
) -> None:
    matrix = abdomen_ct.ijk_to_ras.copy()
    matrix[:3, 2] *= 2
    thick = Volume(np.asfortranarray(abdomen_ct.voxels[:, :, ::2]), matrix)
    part = cropped(abdomen_ct, slice(15, 100), slice(20, 90), slice(35, 90))
    for volume in (thick, part):
        assert_labels_are_on_the_tissue(segmented(expert, "everything", volume).labelmap.voxels, volume)


def test_values_that_are_not_numbers_are_air(
    expert: Vista3d, abdomen_ct: Volume, expected: np.ndarray
) -> None:
    broken = abdomen_ct.voxels.astype(np.float32)
    broken[:2] = np.nan
    found = segmented(expert, "everything", abdomen_ct.with_voxels(broken)).labelmap.voxels
    np.testing.assert_array_equal(found[4:], expected[4:])
    assert not (found[:2] == BONE).any()
