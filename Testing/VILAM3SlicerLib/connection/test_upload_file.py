"""A long body on the disk: whole, for its owner only, and gone where the disk is full."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from VILAM3SlicerLib.connection.upload_file import write_upload


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_all_pieces_are_written_in_order_for_the_owner_only() -> None:
    voxels = np.arange(10_000_000, dtype=np.int16)
    path = Path(write_upload(iter((b"header", memoryview(voxels), b"", b"end"))))
    assert path.read_bytes() == b"header" + voxels.tobytes() + b"end"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


FULL = """
import resource, sys, tempfile
sys.path.insert(0, sys.argv[1])
tempfile.tempdir = sys.argv[2]
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
from VILAM3SlicerLib.connection.upload_file import write_upload
from VILAM3SlicerLib.protocol.errors import OutOfSpace
try:
    write_upload([bytes(3_000_000)])
except OutOfSpace as error:
    print(error.message)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit on file sizes to be set")
def test_a_full_disk_is_told_and_left_empty(repository: Path, temporary_folder: Path) -> None:
    command = [sys.executable, "-c", FULL, str(repository / "VILAM3Slicer"), str(temporary_folder)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"{temporary_folder} has no room" in run.stdout
    assert not os.listdir(temporary_folder)
