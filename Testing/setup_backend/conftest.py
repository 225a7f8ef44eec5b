"""A checkout of its own and a display to look at, for the tests of the set-up."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from inference_backend.installation.layout import Layout
from inference_backend.installation.progress import Progress


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """An empty checkout with a constraints file."""
    (tmp_path / "constraints.txt").write_text("pip==26.3\ntorch==2.13.0\n")
    return Layout(tmp_path)


@pytest.fixture
def display() -> io.StringIO:
    """What a person would read."""
    return io.StringIO()


@pytest.fixture
def progress(display: io.StringIO) -> Progress:
    return Progress(3, display)
