"""A researcher's package, installed by pip from its folder into a fresh environment, answers in a chat."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from inference_backend.experts.registry import installed_experts
from inference_backend.imaging.volume import Volume
from Testing.inference_backend.service.running import KEY, RunningService
from VILAM3SlicerLib.protocol.events import Answer, ExpertCalled, ExpertResult
from VILAM3SlicerLib.protocol.nrrd import decode_nrrd


@pytest.fixture
def fresh_python(repository: Path, tmp_path: Path) -> Path:
    """An environment of its own that sees the backend's packages, with the example package installed."""
    folder = tmp_path / "environment"
    venv.EnvBuilder(with_pip=False).create(folder)
    python = folder / "bin" / "python"
    (site_packages,) = folder.glob("lib/python*/site-packages")
    ours = sysconfig.get_paths()["purelib"]
    (site_packages / "backend.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    source = tmp_path / "source"
    shutil.copytree(repository / "Testing" / "data" / "own_expert", source)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--no-index", str(source)], check=True)
    return python


@pytest.fixture
def backend(fresh_python: Path, repository: Path, tmp_path: Path) -> Iterator[RunningService]:
    path = os.pathsep.join(map(str, (repository, repository / "VILAM3Slicer")))
    program = "Testing.inference_backend.experts.backend_with_scripted_model"
    process = subprocess.Popen(
        [fresh_python, "-m", program, tmp_path / "store"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http"), "the backend did not start; see its messages above"
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=60) as http:
            yield RunningService(url, http, *[None] * 7)  # the rest of it is in the other process
    finally:
        process.stdin.close()
        process.wait(20)


@pytest.mark.slow
def test_a_package_in_a_folder_becomes_an_expert(backend: RunningService) -> None:
    assert "BRIGHTNESS" not in {expert.card.name for expert in installed_experts().experts}
    voxels = np.zeros((20, 16, 12), np.int16)
    voxels[5:15, 4:12] = 100
    volume = Volume(np.asfortranarray(voxels), np.diag([-1.0, 1.0, 2.0, 1.0]))
    assert backend.put(volume).status_code == 201
    question = backend.ask("call BRIGHTNESS(bright)", volume=volume.content_hash, modality="CT")
    events = [event.payload for event in backend.events(question)]
    (called,) = (event for event in events if isinstance(event, ExpertCalled))
    assert (called.expert, called.version, called.arguments) == ("BRIGHTNESS", "0.1.0", "bright")
    (result,) = (event for event in events if isinstance(event, ExpertResult))
    assert [(one.name, one.voxel_count) for one in result.segments] == [("bright tissue", 10 * 8 * 12)]
    assert "bright tissue: 1.9 mL" in result.feedback_text
    labels = Volume.from_nrrd(decode_nrrd(backend.http.get(f"/v1/results/{result.result_id}").content))
    np.testing.assert_array_equal(labels.voxels, voxels > 0)
    np.testing.assert_array_equal(labels.ijk_to_ras, volume.ijk_to_ras)
    assert isinstance(events[-1], Answer)
    listed = {one["name"]: one for one in backend.http.get("/v1/status").json()["experts"]}
    assert listed["BRIGHTNESS"]["unavailable_because"] == ""
    assert {"CT_TISSUE", "VISTA3D"} <= set(listed)


def test_the_example_is_as_short_as_the_page_says(repository: Path) -> None:
    text = (repository / "Testing" / "data" / "own_expert" / "brightness_expert" / "__init__.py").read_text()
    assert len(text.splitlines()) <= 30
