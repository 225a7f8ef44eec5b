"""A loaded small VISTA3D with random weights, and a piece of a real CT to run it on."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from inference_backend.experts.interface import ExpertRequest, Segmentation
from inference_backend.experts.vista3d.expert import Vista3d
from inference_backend.experts.weights import WeightsAt
from inference_backend.imaging.volume import Volume
from Testing.inference_backend.experts.storage import every
from Testing.inference_backend.experts.vista3d.anatomy import (
    Anatomy,
    Knowing,
    KnowingModel,
    MakeKnowing,
    in_vista3d_labels,
    published_names,
)
from Testing.inference_backend.experts.vista3d.bundle import RELEASED, write_bundle

SPACING = 3.1
"""Of the knowing network's grid, in mm: the released 1.5 mm takes eight times as long, and is tested once."""


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("weights") / "vista3d")


@pytest.fixture(scope="session")
def vista3d(bundle: Path) -> Vista3d:
    expert = Vista3d(WeightsAt(bundle))
    expert.load("cpu")
    return expert


@pytest.fixture(scope="session")
def piece_of_ct(abdomen_ct: Volume) -> Volume:
    """About 8 cm of a native abdomen at 3 mm, RAS."""
    matrix = abdomen_ct.ijk_to_ras.copy()
    matrix[:3, 3] = (matrix @ (30, 25, 30, 1))[:3]
    return Volume(np.asfortranarray(abdomen_ct.voxels[30:58, 25:51, 30:54]), matrix)


@pytest.fixture(scope="session")
def vista3d_labels(data_folder: Path, golden: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The numbering of the chest CT's labels, TotalSegmentator's with one more row, to VISTA3D's."""
    structures, names = data_folder / "reference" / "structures.csv", published_names(golden)
    return lambda labels: in_vista3d_labels(labels, structures, names)


@pytest.fixture(scope="session")
def chest_labels(
    chest_ct: Volume, chest_reference: np.ndarray, vista3d_labels: Callable[[np.ndarray], np.ndarray]
) -> Volume:
    """The chest CT's 89 reference labels in VISTA3D's numbering."""
    return chest_ct.with_voxels(vista3d_labels(chest_reference))


@pytest.fixture(scope="session")
def abdomen_labels(
    abdomen_ct: Volume, abdomen_reference: np.ndarray, vista3d_labels: Callable[[np.ndarray], np.ndarray]
) -> Volume:
    costal_cartilages = abdomen_reference == 117
    return abdomen_ct.with_voxels(vista3d_labels(np.where(costal_cartilages, 118, abdomen_reference)))


@pytest.fixture(scope="session")
def coarse_chest(chest_ct: Volume) -> Volume:
    """The whole chest CT with every third voxel along the rows and columns, 2.1x2.1x2.5 mm."""
    return every(chest_ct, 3, 3, 1)


@pytest.fixture(scope="session")
def chest_anatomy(chest_labels: Volume) -> Anatomy:
    return Anatomy(every(chest_labels, 3, 3, 1))


@pytest.fixture(scope="session")
def make_knowing(tmp_path_factory: pytest.TempPathFactory) -> MakeKnowing:
    """Makes the expert with the released values, another spacing, and a network that knows the anatomy."""

    @cache
    def bundle_with(spacing: float) -> Path:
        settings = {**RELEASED, "resample_spacing": [spacing] * 3}
        return write_bundle(tmp_path_factory.mktemp("weights") / "vista3d", **settings)

    def make(anatomy: Anatomy, spacing: float) -> Knowing:
        folder = bundle_with(spacing)
        model = KnowingModel(folder, "cpu", anatomy)
        expert = Vista3d(WeightsAt(folder), load_model=lambda folder, device: model)
        expert.load("cpu")
        return Knowing(expert, model, anatomy, spacing)

    return make


@pytest.fixture(scope="session")
def knowing(make_knowing: MakeKnowing, chest_anatomy: Anatomy) -> Knowing:
    return make_knowing(chest_anatomy, SPACING)


def segmented(expert: Vista3d, argument: str, volume: Volume, *points: object) -> Segmentation:
    request = ExpertRequest(argument, volume, tuple(points))  # type: ignore[arg-type]
    return expert.run(request, lambda fraction, words: None, lambda: False)
