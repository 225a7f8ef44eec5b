"""What lies in an entry's folder and what each file hashes to: ``weights.json`` beside the files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MANIFEST_FILE = "weights.json"


@dataclass(frozen=True)
class FileRecord:
    """A file that was fetched whole: its size in bytes and what it hashes to."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Written once everything is there. ``revision`` is the whole commit, empty without versions."""

    id: str
    source: str
    revision: str
    completed: str
    files: tuple[FileRecord, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    def write(self, folder: Path) -> None:
        """Write it into ``folder``, whole or not at all."""
        unfinished = folder / f"{MANIFEST_FILE}.part"
        unfinished.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        unfinished.replace(folder / MANIFEST_FILE)


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder; None without a readable one."""
    try:
        data = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        return _manifest(data)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _manifest(data: Mapping[str, Any]) -> Manifest:
    files = tuple(FileRecord(**file) for file in data["files"])
    return Manifest(data["id"], data["source"], data["revision"], data["completed"], files)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_sha1_of(path: Path) -> str:
    """The hash that git gives to a file's content, in hexadecimal."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(1024**2):
            digest.update(piece)
    return digest.hexdigest()
