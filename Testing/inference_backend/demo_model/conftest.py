"""The demo checkpoint, built once for all tests here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inference_backend.demo_model.build import build
from inference_backend.demo_model.training.slices import IMAGE_SIZE, LabelledImage


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint that the committed weights make."""
    folder = tmp_path_factory.mktemp("demo") / "checkpoint"
    build(folder)
    return folder


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(11)


@pytest.fixture(scope="session")
def pictures() -> list[LabelledImage]:
    """A bright disc on black for each modality: the language model's choices must not hang on the image."""
    rows, columns = np.mgrid[:IMAGE_SIZE, :IMAGE_SIZE] - IMAGE_SIZE / 2
    disc = np.where(np.hypot(rows, columns) < 80, 140, 0).astype(np.uint8)
    return [LabelledImage(disc, modality, "axial", "chest", "a disc") for modality in ("CT", "MRI", "CXR")]
