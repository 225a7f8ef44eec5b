"""A backend in a folder of its own, as the Slicer module installs it: what is there, and taking it away."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from inference_backend.installation.errors import SetupError
from inference_backend.installation.layout import Layout
from inference_backend.installation.source import FILES, FOLDERS
from VILAM3SlicerLib.protocol.places import INSTALLED_FILE

State = Literal["unfinished", "complete"]

OURS = (
    *FILES,
    *(folder.split("/")[0] for folder in FOLDERS),
    ".venv",
    ".cache",
    "logs",
    "vilam3slicer.egg-info",
)
"""Everything that an installation and a backend that runs from it leave in the folder."""


@dataclass(frozen=True)
class Installed:
    """The record ``installed.json``.

    Attributes:
        source: digest of the source files that were installed.
        python: the interpreter that runs the backend.
        base_python: the one that it was made with, which can take it away again.
    """

    state: State
    source: str
    python: str
    base_python: str


def read_installed(folder: Path) -> Installed | None:
    """The record of a folder; None where there is none that can be read."""
    try:
        record = json.loads((folder / INSTALLED_FILE).read_text(encoding="utf-8"))
        return Installed(record["state"], record["source"], record["python"], record["base_python"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_installed(layout: Layout, state: State, source: str) -> None:
    """Write the record, whole or not at all."""
    layout.root.mkdir(parents=True, exist_ok=True)
    record = Installed(state, source, str(layout.python), _base_python())
    part = layout.root / f"{INSTALLED_FILE}.part"
    part.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")
    os.replace(part, layout.root / INSTALLED_FILE)


def _base_python() -> str:
    """The interpreter outside any virtual environment that this one is in."""
    return str(getattr(sys, "_base_executable", None) or sys.executable)


def require_ours_or_empty(folder: Path) -> None:
    """Never write into what belongs to somebody else.

    Raises:
        SetupError: the folder holds something, and no installation of ours.
    """
    if folder.exists() and not folder.is_dir():
        raise SetupError(f"{folder} is no folder.", "Name another one.", "folder_unusable")
    if folder.is_dir() and any(folder.iterdir()) and read_installed(folder) is None:
        raise SetupError(
            f"{folder} holds other files.",
            "Name a new or an empty folder for the backend.",
            "folder_unusable",
        )


def uninstall(folder: Path, keep_weights: bool) -> list[str]:
    """Remove what was installed into ``folder``, and the folder if nothing else is in it.

    Returns the names of what is left there, none of it ours (or the weights, where they are kept).

    Raises:
        SetupError: nothing of ours is installed there.
    """
    if read_installed(folder) is None:
        raise SetupError(f"No backend is installed in {folder}.", "Nothing was removed.", "not_installed")
    for name in sorted(set(OURS)):
        if name == ".cache" and keep_weights:
            _remove_cache_but_weights(folder / name)
        else:
            _remove(folder / name)
    if (folder / ".cache").exists():  # the weights, in a folder that stays ours
        write_installed(Layout(folder), "unfinished", "")
    else:
        _remove(folder / INSTALLED_FILE)
    left = sorted(path.name for path in folder.iterdir())
    if not left:
        folder.rmdir()
    return left


def _remove_cache_but_weights(cache: Path) -> None:
    for path in list(cache.iterdir()) if cache.is_dir() else []:
        if path.name != "weights":
            _remove(path)
    if cache.is_dir() and not any(cache.iterdir()):
        cache.rmdir()


def _remove(path: Path) -> None:
    """A link goes, what it leads to stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
