"""The folder of one running service, and the wiping of those whose service is gone.

Each service has a subfolder of its own and holds an operating system's lock on a file in it, so that two
services never wipe each other's scans, and what a killed service left is found by its free lock.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from VILAM3SlicerLib.protocol.places import SERVICE_FOLDERS

_LOCK = "in_use.lock"
_KEPT = "kept"
_PREFIX = SERVICE_FOLDERS.rstrip("*")

log = logging.getLogger(__name__)


class FolderLock:
    """A lock that the operating system frees when its process ends, however it ends."""

    def __init__(self, folder: Path, wait: bool = False) -> None:
        """Raises OSError where another process holds the lock (after a while, with ``wait``)."""
        self._file = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(self._file, wait)
        except OSError:
            os.close(self._file)
            raise

    def free(self) -> None:
        os.close(self._file)


class ServiceFolder:
    """The private folder of this service; a context that wipes it at its end unless ``keep`` is set.

    With ``keep`` the folder that an earlier service kept is taken over; without, it is wiped.
    """

    def __init__(self, root: Path, keep: bool = False) -> None:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._keep = keep
        starting = FolderLock(root, wait=True)  # a service that starts now must not wipe our new folder
        try:
            self.path, self._lock = _take_over(root, keep) or _create(root)
        finally:
            starting.free()
        if keep:
            (self.path / _KEPT).touch(mode=0o600)

    def subfolder(self, name: str) -> Path:
        """A private folder inside, made when it is first asked for."""
        folder = self.path / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def close(self) -> None:
        """Wipe the folder (unless it is kept) and free it."""
        if not self._keep:
            _wipe_contents(self.path)
        self._lock.free()
        if not self._keep:
            _wipe(self.path)

    def __enter__(self) -> ServiceFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def remove_unused(root: Path) -> None:
    """Remove a root in which no service runs and nothing is kept; else leave it as it is."""
    try:
        lock = FolderLock(root)
    except OSError:  # it is not there, or a service starts at this moment
        return
    names = {path.name for path in root.iterdir()}
    lock.free()
    if names == {_LOCK}:
        (root / _LOCK).unlink()
        root.rmdir()


def _create(root: Path) -> tuple[Path, FolderLock]:
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))  # mkdtemp: for its owner only
    return folder, FolderLock(folder)


def _take_over(root: Path, keep: bool) -> tuple[Path, FolderLock] | None:
    """Wipe what dead services left; with ``keep``, give the first folder that was kept instead."""
    taken = None
    for folder in sorted(root.glob(SERVICE_FOLDERS)):
        lock = _free_lock(folder)
        if lock is None:
            continue
        if keep and taken is None and (folder / _KEPT).exists():
            taken = folder, lock
            continue
        log.info("wiping what an earlier service left")
        _wipe_contents(folder)
        lock.free()
        _wipe(folder)
    return taken


def _free_lock(folder: Path) -> FolderLock | None:
    try:
        return FolderLock(folder)
    except OSError:
        return None


def _wipe_contents(folder: Path) -> None:
    """Everything but the lock, which Windows does not let go while it is held."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            _wipe(entry)
        elif entry.name != _LOCK:
            entry.unlink(missing_ok=True)


def _wipe(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        log.warning("some stored files could not be wiped; the next start tries again")


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int, wait: bool) -> None:
        msvcrt.locking(file, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: int, wait: bool) -> None:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
