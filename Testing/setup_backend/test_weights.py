"""``setup_backend.py weights``: the person reads and accepts; the environment's Python fetches."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference_backend.installation import commands
from inference_backend.weights.folder import WeightsFolder
from Testing.inference_backend.weights import hub_server

LICENCE = "For research only, says the publisher.\n"
DATA = "The data have terms of their own.\n"
FILES = {
    "LICENSE": LICENCE.encode(),
    "docs/data_license.txt": DATA.encode(),
    "configs/inference.json": b"{}",
    "models/model.pt": b"weights" * 1000,
}
DOWNLOAD = ["weights", "download", "vista3d"]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[hub_server.Hub]:
    with hub_server.running_hub(dict(FILES)) as running:
        running.commit = "f2ae8ec" + "0" * 33
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        yield running


@pytest.fixture
def checkout(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set up already, with this very Python in its environment."""
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    monkeypatch.setattr(commands, "_set_up", lambda *_: None)
    path = (str(repository), str(repository / "VILAM3Slicer"), *sys.path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    monkeypatch.setenv("VILAM3_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path


def test_the_list_names_sizes_licences_and_the_folder(
    checkout: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert commands.main(["weights", "list"], checkout) == 0
    said = capfd.readouterr().out
    assert str(checkout / "weights") in said
    for word in ("VILA-M3-13B", "27.0 GB", "31.5 GB bf16", "NVIDIA", "to be accepted", "CXR"):
        assert word in said


def test_without_a_terminal_nobody_consents(
    checkout: Path, hub: hub_server.Hub, capfd: pytest.CaptureFixture[str]
) -> None:
    assert commands.main(DOWNLOAD, checkout) == 5
    said = capfd.readouterr()
    assert LICENCE in said.out
    assert "not accepted" in said.err
    assert "--accept-licence" in said.err
    assert {path for path in hub.fetched() if path} == {"LICENSE", "docs/data_license.txt"}


def test_accepted_by_flag_it_is_fetched_and_says_what_was_accepted(
    checkout: Path, hub: hub_server.Hub, capfd: pytest.CaptureFixture[str]
) -> None:
    assert commands.main([*DOWNLOAD, "--accept-licence"], checkout) == 0
    said = capfd.readouterr().out
    assert LICENCE in said
    assert DATA in said
    consents = WeightsFolder().consents.all()
    assert {one.accepted_by for one in consents} == {getpass.getuser()}
    for consent in consents:
        assert f"Accepted: {consent.licence} of vista3d, SHA-256 {consent.sha256}" in said
    assert commands.main(["weights", "remove", "VISTA3D"], checkout) == 0
    capfd.readouterr()
    assert commands.main(DOWNLOAD, checkout) == 0
    assert LICENCE not in capfd.readouterr().out


@pytest.mark.parametrize(("answers", "code"), [(["yes", "yes"], 0), (["yes", "y"], 5), ([""], 5)])
def test_on_a_terminal_each_text_is_asked_for(
    checkout: Path, hub: hub_server.Hub, monkeypatch: pytest.MonkeyPatch, answers: list[str], code: int
) -> None:
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return answers[len(asked) - 1]

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", answer)
    assert commands.main(DOWNLOAD, checkout) == code
    assert len(asked) == len(answers)
    assert "LICENSE of vista3d" in asked[0]
    assert (checkout / "weights" / "VISTA3D").exists() == (code == 0)


def test_what_cannot_be_fetched_is_told_and_nobody_is_asked(
    checkout: Path, hub: hub_server.Hub, capfd: pytest.CaptureFixture[str]
) -> None:
    hub.fail("", hub_server.status(404, x_error_code="RepoNotFound"))
    assert commands.main(DOWNLOAD, checkout) == 5
    said = capfd.readouterr()
    assert "[not_found]" in said.err
    assert "=====" not in said.out


def test_a_name_that_does_not_exist_is_told_those_that_do(
    checkout: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert commands.main(["weights", "download", "VILA-M3-40B"], checkout) == 5
    assert "VILA-M3-13B" in capfd.readouterr().err


def test_the_demo_model_comes_with_the_set_up(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(commands, "_set_up", lambda _layout, steps: done.extend(step.title for step in steps))
    assert commands.main(["weights", "download", "demo"], checkout) == 0
    assert done[-1] == "Building the demo model"
