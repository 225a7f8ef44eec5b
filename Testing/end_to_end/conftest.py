"""The whole system: demo model, real expert, real scan, as separate processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest


@dataclass(frozen=True)
class RunningBackend:
    """A backend with the demo model."""

    url: str
    key_file: Path

    @property
    def key(self) -> str:
        return self.key_file.read_text().strip()


@pytest.fixture(scope="session")
def demo_model(repository: Path) -> Path:
    folder = repository / ".cache" / "demo_model"
    if not (folder / "config.json").is_file():
        pytest.skip("The demo model is not built: run python3 setup_backend.py test")
    return folder


@pytest.fixture(scope="session")
def demo_backend(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBackend]:
    folder = tmp_path_factory.mktemp("backend")
    key_file = folder / "key"
    key_file.write_text("a-key-for-this-test-only")
    command = [sys.executable, "-m", "inference_backend", "serve", "--port", "0", "--key-file", str(key_file)]
    command += ["--model", str(demo_model), "--store", str(folder / "store")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        backend = RunningBackend(json.loads(process.stdout.readline())["url"], key_file)
        _wait_for_the_model(backend)
        yield backend
        process.terminate()
        process.wait(20)


def _wait_for_the_model(backend: RunningBackend) -> None:
    for _ in range(240):
        headers = {"Authorization": f"Bearer {backend.key}"}
        readiness = httpx.get(f"{backend.url}/v1/status", headers=headers).json()["readiness"]
        if readiness != "loading":
            break
        time.sleep(0.5)
    assert readiness == "ready"


@pytest.fixture(scope="session")
def chest_ct(data_folder: Path) -> Path:
    path = data_folder / "chest_ct" / "cxr.nii.gz"
    if not path.is_file():
        pytest.skip("The sample scan is not here: run python3 setup_backend.py test")
    return path


@pytest.fixture(scope="session")
def headless_environment() -> dict[str, str]:
    return {**os.environ, "VTK_DEFAULT_OPENGL_WINDOW": "vtkEGLRenderWindow"}
