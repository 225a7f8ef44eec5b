"""The interpreters of this machine are asked what they are; those that cannot do it are told with why."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from pathlib import Path

import pytest

from Testing.VILAM3SlicerLib.connection.programs import AsyncioPrograms
from VILAM3SlicerLib.connection.python_finder import FoundPython, PythonFinder, candidates


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def says(version: str, bits: int = 64, venv: str = "true") -> str:
    return f"""echo '{{"path": "'$0'", "version": [{version}], "bits": {bits}, "has_venv": {venv}}}'"""


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return {"PATH": f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin"}


def finder(environment: dict[str, str], tmp_path: Path) -> PythonFinder:
    return PythonFinder(AsyncioPrograms(), environment, tmp_path / "Slicer")


def probed(path: str, environment: dict[str, str], tmp_path: Path) -> FoundPython:
    async def run() -> FoundPython:
        told: asyncio.Future[FoundPython] = asyncio.get_running_loop().create_future()
        finder(environment, tmp_path).probe(path, told.set_result)
        return await asyncio.wait_for(told, 30)

    return asyncio.run(run())


def test_this_python_is_usable(environment: dict[str, str], tmp_path: Path) -> None:
    found = probed(sys.executable, environment, tmp_path)
    assert found.problem == ""
    assert found.version == sys.version_info[:3]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (says("3, 10, 4"), "3.10.4; the backend needs Python 3.11 to 3.13"),
        (says("3, 14, 0"), "3.14.0"),
        (says("3, 12, 1", bits=32), "32 bits"),
        (says("3, 12, 1", venv="false"), "python3-venv"),
        ("echo command not found; exit 127", "not a Python that starts"),
        ("echo hello", "not a Python that starts"),
        ("""echo '{"version": 3}'""", "not a Python that starts"),
    ],
)
def test_what_cannot_run_the_backend_is_told_with_why(
    environment: dict[str, str], tmp_path: Path, text: str, problem: str
) -> None:
    path = script(tmp_path / "python", text)
    assert problem in probed(str(path), environment, tmp_path).problem


def test_a_path_that_is_not_there_and_slicers_own(environment: dict[str, str], tmp_path: Path) -> None:
    assert "not a Python that starts" in probed("/nowhere/python", environment, tmp_path).problem
    own = script(tmp_path / "Slicer" / "bin" / "PythonSlicer", says("3, 12, 10"))
    assert "Slicer's own" in probed(str(own), environment, tmp_path).problem


def test_the_newest_usable_one_is_found_once_and_slicers_own_is_not_tried(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "bin" / "python3.13", "exit 1")  # a shim that leads nowhere, as pyenv makes them
    script(tmp_path / "bin" / "python3.11", says("3, 11, 9"))
    (tmp_path / "bin" / "python3").symlink_to(tmp_path / "bin" / "python3.11")
    script(tmp_path / "home/.pyenv/versions/3.12.1/bin/python3", says("3, 12, 1"))
    slicer = script(tmp_path / "Slicer" / "bin" / "python3.13", says("3, 13, 0"))
    environment = {"PATH": os.pathsep.join((str(tmp_path / "bin"), str(slicer.parent)))}
    monkeypatch.setattr("VILAM3SlicerLib.connection.python_finder._UNIX_PLACES", ())

    async def run() -> tuple[FoundPython, ...]:
        told: asyncio.Future[tuple[FoundPython, ...]] = asyncio.get_running_loop().create_future()
        finder(environment, tmp_path).find(told.set_result)
        return await asyncio.wait_for(told, 30)

    assert [found.version for found in asyncio.run(run())] == [(3, 12, 1), (3, 11, 9)]
    assert str(slicer) not in set(candidates(environment, tmp_path / "Slicer"))
