"""The tumour expert on a small random network, as BraTS's weights lie on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference_backend.experts.brats.expert import Brats
from inference_backend.experts.weights import WeightsAt
from Testing.inference_backend.experts.brats.bundle import write_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("weights") / "BRATS")


@pytest.fixture(scope="module")
def brats(bundle: Path) -> Brats:
    expert = Brats(WeightsAt(bundle))
    expert.load("cpu")
    return expert
