"""Scans are wiped when a service ends and when the next one starts, and never those of a living one."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

from inference_backend.store.folder import ServiceFolder


def put_scan(folder: ServiceFolder) -> Path:
    scan = folder.subfolder("volumes") / "scan.nrrd"
    scan.write_text("a scan")
    return scan


def abandoned(root: Path, keep: bool) -> Path:
    """What a service leaves that ends without closing its folder; the system frees its lock."""
    code = (
        "import os, sys; from pathlib import Path\n"
        "from inference_backend.store.folder import ServiceFolder\n"
        f"folder = ServiceFolder(Path({str(root)!r}), keep={keep})\n"
        "(folder.subfolder('volumes') / 'scan.nrrd').write_text('a scan'); print(folder.path); "
        "sys.stdout.flush(); os._exit(1)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip()
    return Path(found) / "volumes" / "scan.nrrd"


def test_a_folder_is_private_and_wiped_at_its_end(tmp_path: Path) -> None:
    with ServiceFolder(tmp_path / "store") as folder:
        scan = put_scan(folder)
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
        assert stat.S_IMODE(scan.parent.stat().st_mode) == 0o700
    assert not folder.path.exists()


def test_two_services_do_not_wipe_each_other(tmp_path: Path) -> None:
    with ServiceFolder(tmp_path) as first:
        scan = put_scan(first)
        with ServiceFolder(tmp_path) as second:
            assert second.path != first.path
        assert scan.exists()


def test_what_a_dead_service_left_is_wiped_at_the_next_start(tmp_path: Path) -> None:
    left = abandoned(tmp_path, keep=False)
    assert left.exists()
    with ServiceFolder(tmp_path):
        assert not left.exists()


def test_kept_scans_are_taken_over_and_wiped_by_one_that_does_not_keep(tmp_path: Path) -> None:
    with ServiceFolder(tmp_path, keep=True) as first:
        scan = put_scan(first)
    assert scan.exists()
    with ServiceFolder(tmp_path, keep=True) as second:
        assert second.path == first.path
        assert scan.exists()
        with ServiceFolder(tmp_path, keep=True) as third:
            assert third.path != second.path
    with ServiceFolder(tmp_path):
        assert not scan.exists()


def test_with_keep_what_was_not_to_be_kept_is_wiped_all_the_same(tmp_path: Path) -> None:
    left = abandoned(tmp_path, keep=False)
    kept = abandoned(tmp_path, keep=True)
    with ServiceFolder(tmp_path, keep=True) as folder:
        assert not left.exists()
        assert kept.is_relative_to(folder.path)
        assert kept.exists()
