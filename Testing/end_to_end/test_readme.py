"""What the README tells people to run, runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text()
COMMANDS = sorted(set(re.findall(r"python3 (setup_backend\.py [a-z]+)", README)))
OPTIONS = sorted(
    {
        (command, option)
        for command, rest in re.findall(r"python3 setup_backend\.py ([a-z]+)([^`\n]*)", README)
        for option in re.findall(r"--[a-z-]+", rest)
    }
)


def test_python_snippet_talks_to_the_backend(demo_backend, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (snippet,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    environment = {"VILAM3_URL": demo_backend.url, "VILAM3_KEY": demo_backend.key, "HOME": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", snippet], env=environment, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip()


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_exist(command: str) -> None:
    run = subprocess.run(
        [sys.executable, *command.split(), "--help"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0
    assert "usage" in run.stdout.lower()


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_options_exist(command: str, option: str) -> None:
    run = subprocess.run(
        [sys.executable, "setup_backend.py", command, "--help"],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert f"{option} " in run.stdout


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#]+)\)", README))
def test_links_lead_somewhere(target: str) -> None:
    assert (REPOSITORY / target).exists()
