"""What the command line refuses before it installs anything, and how it says so."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from inference_backend.installation import commands, launcher
from inference_backend.installation.errors import SetupError
from inference_backend.installation.layout import Layout

ASK = ["demo", "--headless", "--ask", "Segment the lungs."]


@pytest.fixture
def no_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        pytest.fail("Something was installed.")

    monkeypatch.setattr(commands, "_set_up", refuse)


@pytest.mark.usefixtures("no_installation")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["demo", "--headless"], "Nothing is asked"),
        (["demo", "--headless", "--ask", "  ", "--output", "out"], "Nothing is asked"),
        ([*ASK, "--output", "out", "--volume", "/no/such/scan.nii.gz"], "There is no /no/such/scan.nii.gz"),
    ],
)
def test_what_cannot_work_is_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert commands.main(arguments, tmp_path) == SetupError.exit_code
    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("no_installation")
@pytest.mark.parametrize("command", ["demo", "serve"])
def test_port_in_use_is_told_with_a_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert commands.main([command, "--port", port], tmp_path) == SetupError.exit_code
    text = capsys.readouterr().err
    assert port in text
    assert "--port" in text


@pytest.mark.parametrize("version", [(3, 10, 4), (3, 14, 0)])
def test_other_python_is_refused_before_anything_is_imported(
    repository: Path, version: tuple[int, ...]
) -> None:
    program = str(repository / "setup_backend.py")
    script = f"import sys, runpy; sys.version_info = {version}; runpy.run_path({program!r})"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == 3
    assert "Python 3.11 to 3.13" in run.stderr
    assert "Traceback" not in run.stderr


def test_installed_packages_are_not_needed(repository: Path) -> None:
    """-S hides every installed package, so this fails if anything but the standard library is imported."""
    run = subprocess.run(
        [sys.executable, "-S", "-E", "setup_backend.py", "--help"],
        cwd=repository,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert "doctor" in run.stdout


def test_arguments_after_the_dashes_go_to_pytest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def note(_layout: Layout, command: list[str]) -> int:
        ran.append(command)
        return {"ruff": 1, "mypy": 2, "pytest": 0}[command[0]]

    monkeypatch.setattr(commands, "_set_up", lambda *_: None)
    monkeypatch.setattr(commands, "_offer_chromium", lambda *_: None)
    monkeypatch.setattr(commands, "_check", note)
    assert commands.main(["test", "--yes", "--", "-k", "lungs"], tmp_path) == 2
    assert ran == [["ruff", "check", "."], ["mypy"], ["pytest", "-k", "lungs"]]


def test_second_start_takes_no_lock_and_prints_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "_demo_steps", lambda *_: [])
    monkeypatch.setattr(launcher, "headless", lambda *_: 0)
    assert commands.main([*ASK, "--output", "out"], tmp_path) == 0
    assert capsys.readouterr().out == ""
    assert os.listdir(tmp_path) == []


def test_a_full_disk_at_the_start_is_told_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "backend.log")

    monkeypatch.setattr(commands, "_set_up", lambda *_: None)
    monkeypatch.setattr(launcher, "interactive", refuse)
    assert commands.main(["demo"], tmp_path) == SetupError.exit_code
    said = capsys.readouterr().err
    assert "No space left on device: 'backend.log'" in said
    assert "again" in said


def test_interrupt_is_told_and_has_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "_set_up", interrupt)
    assert commands.main(["demo"], tmp_path) == commands.INTERRUPTED
    assert "Stopped" in capsys.readouterr().err
