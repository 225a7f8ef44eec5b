"""What the tests of several parts share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from inference_backend.torchvision_import import make_torchvision_importable

make_torchvision_importable()  # some tests import transformers themselves

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Where setup_backend.py puts the sample data."""
    return Path(os.environ.get("VILAM3_DATA", REPOSITORY / ".cache" / "data"))


@pytest.fixture(scope="session")
def golden() -> Path:
    """What the original VILA-M3 code computes on tiny checkpoints."""
    return REPOSITORY / "Testing" / "data" / "golden"
