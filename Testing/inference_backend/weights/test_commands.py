"""The program behind ``setup_backend.py weights``, run as it is run, against a hub of our own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference_backend.weights.__main__ import progress_text
from inference_backend.weights.catalogue import read_catalogue
from inference_backend.weights.folder import WeightsFolder
from Testing.inference_backend.weights import hub_server
from VILAM3SlicerLib.protocol.weights import DownloadProgress

BRATS = read_catalogue()["BRATS"]
LABELS = "models/model.pt"
FILES = {
    "LICENSE": b"Apache, as always.\n" * 100,
    "configs/inference.json": b"{}",
    LABELS: bytes(range(256)) * 4000,
    "scripts/evil.py": b"import os",
}
COMMIT = "6ea5b85" + "0" * 33
"""Begins as the catalogue pins it, so that it is found among the repository's commits."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[hub_server.Hub]:
    with hub_server.running_hub(dict(FILES)) as running:
        running.commit = COMMIT
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


@pytest.fixture(autouse=True)
def _our_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VILAM3_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_TOKEN", "")


def start(repository: Path, *arguments: str) -> subprocess.Popen[str]:
    path = os.pathsep.join((str(repository), str(repository / "VILAM3Slicer")))
    command = [sys.executable, "-m", "inference_backend.weights", *arguments]
    environment = {**os.environ, "PYTHONPATH": path}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)


def run(repository: Path, *arguments: str) -> tuple[int, str, str]:
    process = start(repository, *arguments)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return process.returncode, out, err


def test_from_a_mirror_it_comes_is_checked_listed_and_removed(
    repository: Path, hub: hub_server.Hub, tmp_path: Path
) -> None:
    code, out, _ = run(repository, "download", "brats")
    assert code == 0
    assert f"checked, in {tmp_path / 'weights' / 'BRATS'}" in out
    assert "scripts/evil.py" not in hub.fetched()
    assert not (tmp_path / "weights/BRATS/scripts").exists()
    code, out, _ = run(repository, "list")
    assert code == 0
    assert "BRATS        here" in out
    (tmp_path / "weights/BRATS" / LABELS).write_bytes(b"\1" + FILES[LABELS][1:])
    code, out, _ = run(repository, "verify", "BRATS")
    assert code == 1
    assert f"{LABELS} has other content" in out
    assert "-> Mend it: setup_backend.py weights download BRATS" in out
    code, out, _ = run(repository, "remove", "BRATS")
    assert (code, out) == (0, "1 MB are free again.\n")


def test_through_a_proxy(
    repository: Path, hub: hub_server.Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The hub's name exists only for the proxy, which here is the same server."""
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.example")
    monkeypatch.setenv("HTTP_PROXY", hub.url)
    hub.url = "http://cdn.example"
    assert run(repository, "download", "BRATS")[0] == 0
    assert {one.host for one in hub.asked} == {"hub.example", "cdn.example"}
    assert (tmp_path / "weights/BRATS" / LABELS).read_bytes() == FILES[LABELS]


def test_what_goes_wrong_is_told_with_code_and_way_out(
    repository: Path, hub: hub_server.Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.fail(LABELS, hub_server.status(403, x_error_code="GatedRepo"))
    code, _, err = run(repository, "download", "BRATS")
    assert code == 5
    assert "does not give models/model.pt to this account" in err
    assert "HF_TOKEN" in err
    assert "[access_denied]" in err
    code, _, err = run(repository, "verify", "CXR")
    assert code == 5
    assert "CXR is not here." in err
    code, _, err = run(repository, "remove", "nothing")
    assert code == 5
    assert "There are no weights called 'nothing'" in err
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code, _, err = run(repository, "download", "BRATS")
    assert code == 5
    assert "[hub_unreachable]" in err


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_the_middle_it_goes_on_from_there(
    repository: Path, hub: hub_server.Hub, number: signal.Signals
) -> None:
    hub.fail(LABELS, hub_server.stall_after(500_000, 60))
    process = start(repository, "download", "BRATS")
    part = WeightsFolder().unfinished(BRATS) / f"{LABELS}.part"
    for _ in range(1200):
        if part.exists() and part.stat().st_size == 500_000:
            break
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "goes on from here" in err
    assert "Traceback" not in err
    hub.asked.clear()
    assert run(repository, "download", "BRATS")[0] == 0
    assert hub.ranges(LABELS) == ["bytes=500000-"]


def test_licences_come_as_data_and_consent_as_hashes(
    repository: Path, hub: hub_server.Hub, tmp_path: Path
) -> None:
    folder = tmp_path / "copied"
    (folder / "docs").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "LICENSE").write_text("Look, not touch.\n")
    (folder / "docs/data_license.txt").write_text("Public data.\n")
    (folder / "models/model.pt").write_bytes(b"weights")
    source = ("VISTA3D", "--from", str(folder))
    code, out, _ = run(repository, "licences", *source)
    assert code == 0
    texts = json.loads(out)
    assert [(text["file"], text["text"]) for text in texts] == [
        ("LICENSE", "Look, not touch.\n"),
        ("docs/data_license.txt", "Public data.\n"),
    ]
    code, _, err = run(repository, "download", *source)
    assert code == 5
    assert "[consent_needed]" in err
    assert run(repository, "accept", *source)[0] == 5
    accept = [word for text in texts for word in ("--accept", text["sha256"])]
    code, out, _ = run(repository, "accept", *source, *accept, "--accepted-by", "A. Person")
    assert code == 0
    assert str(WeightsFolder().consents.file) in out
    assert not WeightsFolder().path(read_catalogue()["VISTA3D"]).exists()
    assert run(repository, "download", *source)[0] == 0
    consents = WeightsFolder().consents.all()
    assert [(one.weights, one.licence, one.accepted_by) for one in consents] == [
        ("VISTA3D", "LICENSE", "A. Person"),
        ("VISTA3D", "docs/data_license.txt", "A. Person"),
    ]
    assert not hub.asked


def test_progress_is_told_in_words() -> None:
    progress = DownloadProgress("llm/model.safetensors", 3_200_000_000, 17_000_000_000, 45e6, 307)
    assert progress_text(progress) == "3.20 of 17.00 GB, 45.0 MB/s, 5 min 07 s left: llm/model.safetensors"
    unknown = DownloadProgress("a", 0, 10_000_000, 0.0, None)
    assert progress_text(unknown) == "0.00 of 0.01 GB: a"
