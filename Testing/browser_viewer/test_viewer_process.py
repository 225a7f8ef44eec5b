"""The viewer as a process: it ends with the program that started it, and says what it cannot do."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def parent():
    """A program that lives until it is killed."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def end(parent: subprocess.Popen[bytes]) -> None:
    parent.kill()
    parent.wait()  # a process that nobody waits for still counts as there


def test_viewer_ends_when_its_launcher_dies(parent, key_file: Path, python_environment: dict[str, str]):
    command = [sys.executable, "-m", "browser_viewer", "--key-file", str(key_file)]
    viewer = subprocess.Popen(
        [*command, "--parent-pid", str(parent.pid)],
        env=python_environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert viewer.stdout is not None
        assert "url" in viewer.stdout.readline()
        time.sleep(0.5)
        assert viewer.poll() is None
        end(parent)
        assert viewer.wait(60) == 0
    finally:
        viewer.kill()
        viewer.wait()


def test_unattended_run_ends_when_its_launcher_dies(
    parent, scan_file: Path, tmp_path: Path, python_environment: dict[str, str], silent_port: int
):
    command = [sys.executable, "-m", "browser_viewer.headless"]
    command += ["--volume", str(scan_file), "--ask", "Why?", "--output", str(tmp_path / "out")]
    command += ["--backend", f"http://127.0.0.1:{silent_port}", "--parent-pid", str(parent.pid)]
    run = subprocess.Popen(command, env=python_environment, stdout=subprocess.DEVNULL)
    try:
        time.sleep(6)
        assert run.poll() is None
        end(parent)
        assert run.wait(60) == 130
    finally:
        run.kill()
        run.wait()


@pytest.fixture
def silent_port():
    """A backend that takes connections and never answers."""
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]
