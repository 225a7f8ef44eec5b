"""The files that a backend needs to run: what an installation copies out of a checkout or an extension."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from inference_backend.installation.steps import file_digest

FILES = ("setup_backend.py", "pyproject.toml", "constraints.txt", "README.md", "LICENSE")
FOLDERS = ("inference_backend", "VILAM3Slicer/VILAM3SlicerLib", "Resources/demo_model")
"""CMakeLists.txt packages the same files and folders with the extension; a test compares the two lists."""


def source_files(root: Path) -> Iterator[Path]:
    """Paths relative to ``root``, sorted."""
    found = [root / name for name in FILES]
    for folder in FOLDERS:
        found += [path for path in (root / folder).rglob("*") if path.is_file()]
    for path in sorted(found):
        if path.suffix != ".pyc":
            yield path.relative_to(root)


def source_digest(root: Path) -> str:
    """SHA-256 over the names and contents of all source files."""
    digest = hashlib.sha256()
    for path in source_files(root):
        digest.update(f"{path.as_posix()} {file_digest(root / path)}\n".encode())
    return digest.hexdigest()


def copy_source(root: Path, target: Path) -> None:
    """Make ``target`` hold the source files of ``root`` and no other source."""
    wanted = set(source_files(root))
    for path in wanted:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        part = (target / path).with_name(f"{path.name}.part")
        shutil.copyfile(root / path, part)
        os.replace(part, target / path)
    for path in [target / one for one in _old_files(target) if one not in wanted]:
        path.unlink()


def _old_files(target: Path) -> list[Path]:
    return [path for path in source_files(target) if (target / path).is_file()]
