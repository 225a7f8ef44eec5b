"""Where everything lies that the set-up makes: all of it inside the checkout, all of it git-ignored."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """Paths of one checkout; ``root`` is the folder of setup_backend.py."""

    root: Path

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """The interpreter of the virtual environment."""
        return self.venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def cache(self) -> Path:
        return self.root / ".cache"

    @property
    def data(self) -> Path:
        """Sample scans and test data; ``VILAM3_DATA`` moves it elsewhere."""
        return Path(os.environ.get("VILAM3_DATA") or self.cache / "data")

    @property
    def markers(self) -> Path:
        """Markers of finished steps whose products lie in the cache."""
        return self.cache / "setup"

    @property
    def venv_markers(self) -> Path:
        """Markers of steps inside the virtual environment, so that they vanish with it."""
        return self.venv / ".setup"

    @property
    def sample_scan(self) -> Path:
        return self.data / "chest_ct" / "cxr.nii.gz"

    @property
    def language_model(self) -> Path:
        """The language model that the demo model is built on, in GGUF format."""
        return self.data / "language_model" / "SmolLM2-135M-Instruct.Q4_1.gguf"

    @property
    def demo_model(self) -> Path:
        return self.cache / "demo_model"

    @property
    def constraints(self) -> Path:
        return self.root / "constraints.txt"

    @property
    def lock(self) -> Path:
        return self.markers / "lock"
