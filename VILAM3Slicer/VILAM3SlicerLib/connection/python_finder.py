"""Finding a Python that can run the backend: one that the person names, or one of this machine.

Slicer's own is never used: what the backend installs must not enter it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from VILAM3SlicerLib.connection.programs import Programs, clean_environment

OLDEST, NEWEST = (3, 11), (3, 13)
WANTED = "Python 3.11 to 3.13"
WHERE_TO_GET = (
    "Install one, for instance from https://www.python.org/downloads, then look again or name it here."
)

_NAMES = ("python3.13", "python3.12", "python3.11", "python3", "python")
_PLACES = (
    "~/.pyenv/versions/*/bin/python3",
    "~/miniconda3/bin/python",
    "~/anaconda3/bin/python",
    "~/.local/share/uv/python/*/bin/python3",
)
_UNIX_PLACES = (
    "/usr/local/bin/python3*",
    "/opt/homebrew/bin/python3*",
    "/Library/Frameworks/Python.framework/Versions/*/bin/python3",
)
_WINDOWS_PLACES = (
    "$LOCALAPPDATA/Programs/Python/Python3*/python.exe",
    "$PROGRAMFILES/Python3*/python.exe",
)

_PROBE = """
import importlib.util as find, json, struct, sys
print(json.dumps({
    "path": sys.executable, "version": list(sys.version_info[:3]), "bits": struct.calcsize("P") * 8,
    "has_venv": all(find.find_spec(name) for name in ("venv", "ensurepip")),
}))
"""


@dataclass(frozen=True)
class FoundPython:
    """An interpreter; ``problem`` says why it cannot be used, and is empty where it can."""

    path: str
    version: tuple[int, ...] = ()
    problem: str = ""

    @property
    def text(self) -> str:
        """As a list shows it."""
        return f"Python {'.'.join(map(str, self.version))} ({self.path})"


class PythonFinder:
    """Asks each interpreter of this machine what it is, one after the other, as a child process."""

    def __init__(self, programs: Programs, environment: Mapping[str, str], excluded: Path) -> None:
        """``excluded`` is Slicer's own folder."""
        self._programs = programs
        self._environment = clean_environment(environment)
        self._excluded = excluded

    def find(self, on_found: Callable[[tuple[FoundPython, ...]], None]) -> None:
        """Tell the usable ones, the newest first."""
        queue = list(candidates(self._environment, self._excluded))
        usable: dict[str, FoundPython] = {}

        def take(found: FoundPython) -> None:
            if not found.problem:
                usable.setdefault(os.path.realpath(found.path), found)
            go_on()

        def go_on() -> None:
            if queue:
                self.probe(queue.pop(0), take)
            else:
                on_found(tuple(sorted(usable.values(), key=lambda one: one.version, reverse=True)))

        go_on()

    def probe(self, path: str, on_found: Callable[[FoundPython], None]) -> None:
        """Tell what a path is; ``problem`` says why it cannot be used."""
        said: list[str] = []

        def judge(code: int | None) -> None:
            on_found(_judged(path, said if code == 0 else []))

        if Path(path).resolve().is_relative_to(self._excluded.resolve()):
            on_found(FoundPython(path, problem="This is Slicer's own Python. Name another one."))
            return
        command = [path, "-I", "-c", _PROBE]
        self._programs.start(
            command, self._environment, on_output=said.append, on_log=lambda _: None, on_end=judge
        )


def candidates(environment: Mapping[str, str], excluded: Path) -> Iterator[str]:
    """Paths at which a Python may lie: the search path first, then where installers put them."""
    seen: set[str] = set()
    for path in (*_on_search_path(environment), *_in_usual_places()):
        is_ours = path.resolve().is_relative_to(excluded.resolve())
        if str(path) not in seen and path.is_file() and not is_ours:
            seen.add(str(path))
            yield str(path)


def _on_search_path(environment: Mapping[str, str]) -> Iterator[Path]:
    suffix = ".exe" if os.name == "nt" else ""
    folders = [folder for folder in environment.get("PATH", "").split(os.pathsep) if folder]
    for name in _NAMES:
        yield from (Path(folder) / f"{name}{suffix}" for folder in folders)


def _in_usual_places() -> Iterator[Path]:
    places = _WINDOWS_PLACES if os.name == "nt" else (*_UNIX_PLACES, *_PLACES)
    for place in places:
        found = glob(os.path.expandvars(os.path.expanduser(place)))
        yield from (Path(path) for path in sorted(found, reverse=True))


def _judged(path: str, said: list[str]) -> FoundPython:
    try:
        answer = json.loads(said[-1])
        version = tuple(int(number) for number in answer["version"])
        where, bits, has_venv = str(answer["path"]), answer["bits"], answer["has_venv"]
    except (IndexError, ValueError, KeyError, TypeError):
        return FoundPython(path, problem=f"{path} is not a Python that starts. Name {WANTED}.")
    name = f"Python {'.'.join(map(str, version))}"
    if not OLDEST <= version[:2] <= NEWEST:
        return FoundPython(where, version, f"This is {name}; the backend needs {WANTED}.")
    if bits != 64:
        return FoundPython(where, version, f"This is a {name} of {bits} bits; the backend needs 64.")
    if not has_venv:
        problem = f"This {name} lacks venv. On Debian and Ubuntu: apt-get install python3-venv."
        return FoundPython(where, version, problem)
    return FoundPython(where, version)
