"""A researcher's package, installed from its folder into an environment, is found and asked in a chat."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from pathlib import Path

import asyncio
import numpy as np

from inference_backend.conversation.loop import Conversation
from inference_backend.experts.registry import installed_experts
from inference_backend.imaging.volume import Volume
from inference_backend.runtime.expert_worker import ExpertWorker
from Testing.inference_backend.conversation.conftest import KeptImages, ScriptedModel
from Testing.inference_backend.experts.vista3d.test_in_a_chat import ExpertsHere, collected, turn
from VILAM3SlicerLib.protocol.nrrd import encode_nrrd

folder = Path(sys.argv[1])
voxels = np.zeros((20, 16, 12), np.int16)
voxels[5:15, 4:12] = 100
volume = Volume(np.asfortranarray(voxels), np.diag([1.0, 1.0, 2.0, 1.0]))
(folder / "volume.nrrd").write_bytes(encode_nrrd(volume.to_nrrd()))
worker = ExpertWorker(installed_experts(), "cpu")
experts = ExpertsHere(worker, folder / "volume.nrrd", folder / "labels.nrrd")
model = ScriptedModel("Let me call <BRIGHTNESS(bright)>.", "It is bright.", context_length=4000)
events = asyncio.run(collected(Conversation(model, experts, KeptImages()), turn(volume)))
assert "<BRIGHTNESS(args)>" in model.seen[0][0].text
print(model.seen[1][-1].text)
"""


@pytest.mark.slow
def test_a_package_in_a_folder_becomes_an_expert(repository: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(repository / "Testing" / "data" / "own_expert", source)
    environment = tmp_path / "environment"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(environment), str(source)], check=True)
    path = os.pathsep.join(map(str, (environment, repository, repository / "VILAM3Slicer")))
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stderr
    assert "red: bright tissue" in run.stdout


def test_the_example_is_as_short_as_the_page_says(repository: Path) -> None:
    text = (repository / "Testing" / "data" / "own_expert" / "brightness_expert" / "__init__.py").read_text()
    assert len(text.splitlines()) <= 30
