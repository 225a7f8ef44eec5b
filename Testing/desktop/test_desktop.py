"""The module in a real desktop 3D Slicer, where there is one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from Testing.desktop.run_desktop import run

SLICER = os.environ.get("VILAM3_SLICER") or shutil.which("Slicer")


@pytest.mark.slow
@pytest.mark.timeout(1000)
@pytest.mark.skipif(not SLICER, reason="No desktop 3D Slicer here: name one in VILAM3_SLICER")
@pytest.mark.parametrize("course", ["visit", "backend", "trouble", "clicks"])
def test_a_whole_course_in_desktop_slicer(
    repository: Path, data_folder: Path, tmp_path: Path, course: str
) -> None:
    scan = data_folder / "chest_ct" / "cxr.nii.gz"
    if not scan.is_file() or not (repository / ".cache" / "demo_model" / "config.json").is_file():
        pytest.skip("The demo is not set up: run python3 setup_backend.py test")
    if course == "clicks" and not shutil.which("xdotool"):
        pytest.skip("xdotool is not installed: there is no hand to click with")
    report = run(str(SLICER), scan.resolve(), tmp_path, course)
    failed = [check for check in report["checks"] if not check["ok"]]
    assert report["checks"]
    assert not failed
