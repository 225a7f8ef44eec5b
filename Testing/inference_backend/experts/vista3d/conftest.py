"""A loaded small VISTA3D with random weights, and a piece of a real CT to run it on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inference_backend.experts.interface import ExpertRequest, Segmentation
from inference_backend.experts.vista3d.expert import Vista3d
from inference_backend.experts.weights import WeightsAt
from inference_backend.imaging.volume import Volume
from Testing.inference_backend.experts.vista3d.bundle import write_bundle


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


def segmented(expert: Vista3d, argument: str, volume: Volume, *points: object) -> Segmentation:
    request = ExpertRequest(argument, volume, tuple(points))  # type: ignore[arg-type]
    return expert.run(request, lambda fraction, words: None, lambda: False)
