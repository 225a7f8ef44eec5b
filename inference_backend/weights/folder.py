"""The one folder that holds all weights.

ROOT/ID/            an entry's files with their weights.json: there only when all of it is
ROOT/.unfinished/   what is being fetched, kept from run to run
ROOT/consents/      which licences were accepted, and their texts
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inference_backend.weights.catalogue import Entry, Kind
from inference_backend.weights.consent import Consents
from inference_backend.weights.errors import WeightsBusy, WeightsMissing
from inference_backend.weights.manifest import MANIFEST_FILE, Manifest, read_manifest, sha256_of
from VILAM3SlicerLib.protocol.weights import WeightsState

CACHE = Path(__file__).resolve().parents[2] / ".cache"
FOLDER_VARIABLE = "VILAM3_WEIGHTS"


def default_root() -> Path:
    """``VILAM3_WEIGHTS``, else a folder in the checkout's cache."""
    return Path(os.environ.get(FOLDER_VARIABLE) or CACHE / "weights")


@dataclass(frozen=True)
class Damage:
    """A file that is not as it was when it was fetched."""

    path: str
    reason: str


class WeightsFolder:
    """Which entries are here, whole or in part."""

    def __init__(self, root: Path | None = None, demo_model: Path | None = None) -> None:
        """``demo_model`` is where the set-up builds the demo model."""
        self.root = root or default_root()
        self._demo_model = demo_model or CACHE / "demo_model"

    @property
    def consents(self) -> Consents:
        """The licences that were accepted on this machine."""
        return Consents(self.root)

    def path(self, entry: Entry) -> Path:
        """Where an entry lies once it is whole."""
        return self._demo_model if entry.kind is Kind.DEMO else self.root / entry.id

    def unfinished(self, entry: Entry) -> Path:
        """Where an entry lies while it is fetched."""
        return self.root / ".unfinished" / entry.id

    def state(self, entry: Entry) -> WeightsState:
        if self._is_present(entry):
            return "present"
        return "partial" if self.unfinished(entry).exists() else "absent"

    def _is_present(self, entry: Entry) -> bool:
        if entry.kind is Kind.DEMO:
            return (self._demo_model / "config.json").is_file()
        return self.manifest(entry) is not None

    def manifest(self, entry: Entry) -> Manifest | None:
        """What an entry's files were when they were fetched."""
        return read_manifest(self.path(entry))

    def size(self, entry: Entry) -> int:
        """Bytes that an entry takes here, its unfinished part included."""
        return size_of(self.path(entry)) + size_of(self.unfinished(entry))

    def free_bytes(self) -> int:
        """What the disk of this folder has left."""
        return shutil.disk_usage(existing(self.root)).free

    def usable(self, entry: Entry) -> Path:
        """The folder to load an entry from.

        Raises:
            WeightsMissing: it is not here, or not whole.
            ConsentNeeded: its licence is not accepted, or is not the text that was.
        """
        if self.state(entry) != "present":
            raise WeightsMissing(f"{entry.id} is not here.", how_to_get(entry))
        self.consents.require(entry, self.path(entry))
        return self.path(entry)

    def reopen(self, entry: Entry) -> None:
        """Take an entry out of use, so that what is wrong with it can be fetched again."""
        shutil.rmtree(self.unfinished(entry), ignore_errors=True)
        (self.path(entry) / MANIFEST_FILE).unlink()
        self.path(entry).rename(self.unfinished(entry))

    def finish(self, entry: Entry) -> None:
        """Put a folder that is whole in its place."""
        shutil.rmtree(self.path(entry), ignore_errors=True)
        self.unfinished(entry).rename(self.path(entry))

    def remove(self, entry: Entry) -> int:
        """Delete an entry, whole or in part; returns the bytes that this frees.

        Raises:
            WeightsMissing: nothing of it is here.
            WeightsBusy: it is being fetched.
        """
        size = self.size(entry)
        if not size:
            raise WeightsMissing(f"Nothing of {entry.id} is here.", f"The weights lie in {self.root}.")
        with self.locked(entry):
            for folder in (self.path(entry), self.unfinished(entry)):
                if folder.exists():
                    shutil.rmtree(folder)
        return size

    @contextmanager
    def locked(self, entry: Entry) -> Iterator[None]:
        """Keep other processes from changing an entry. Raises WeightsBusy where one does already."""
        from filelock import FileLock, Timeout  # the doctor runs without any package

        locks = self.root / ".unfinished"
        locks.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(locks / f"{entry.id}.lock", timeout=0):
                yield
        except Timeout as error:
            raise WeightsBusy(
                f"{entry.id} is being fetched or checked already.", "Wait until that has ended."
            ) from error

    def damages(self, entry: Entry) -> Iterator[tuple[str, int, Damage | None]]:
        """Check one file after the other: its path, its size in bytes, what is wrong with it.

        Raises:
            WeightsMissing: the entry is not here, or keeps no record of its files.
        """
        if self.state(entry) != "present":
            raise WeightsMissing(f"{entry.id} is not here.", how_to_get(entry))
        manifest = self.manifest(entry) or _demo_manifest(self._demo_model)
        for file in manifest.files:
            path = self.path(entry) / file.path
            yield file.path, file.size, _damage(path, file.path, file.size, file.sha256)


def how_to_get(entry: Entry) -> str:
    """What to do to have an entry here."""
    if entry.kind is Kind.DEMO:
        return "The set-up builds it: setup_backend.py demo"
    return f"Fetch it: setup_backend.py weights download {entry.id}"


def existing(path: Path) -> Path:
    """``path`` or the nearest folder above it that exists."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.exists())


def _demo_manifest(folder: Path) -> Manifest:
    """The demo model has no record: its files are opened as a checkpoint, which finds what is cut or missing.

    Raises:
        CheckpointError: it is damaged.
    """
    from inference_backend.vila_m3.checkpoint import read_checkpoint

    read_checkpoint(folder)
    return Manifest("demo", "built by the set-up", "", "", ())


def _damage(path: Path, name: str, size: int, sha256: str) -> Damage | None:
    if not path.is_file():
        return Damage(name, "is missing")
    if path.stat().st_size != size:
        return Damage(name, f"has {path.stat().st_size} bytes, not {size}")
    return None if sha256_of(path) == sha256 else Damage(name, "has other content (SHA-256 differs)")


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
