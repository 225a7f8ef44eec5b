"""A folder of files by id, capped in size: the least recently used is given up, never one in use."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from VILAM3SlicerLib.protocol.errors import InvalidRequest, NotFound, OutOfSpace, TooLarge

_ID = re.compile(r"[0-9a-f]{32,64}")
_PARTIAL = ".partial"
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


class Shelf:
    """Files named by hexadecimal ids in one folder.

    Safe to use from several threads. Ids come from clients, so they are checked before they become paths.
    """

    def __init__(self, folder: Path, suffix: str, max_bytes: int, what: str) -> None:
        """``what`` names the kind of thing to a person ("volume", "image", "result")."""
        self._folder = folder
        self._suffix = suffix
        self._max_bytes = max_bytes
        self._what = what
        self._lock = RLock()
        self._in_use: Counter[str] = Counter()
        self._sizes = self._found_on_disk()

    def __contains__(self, file_id: str) -> bool:
        with self._lock:
            return self._checked(file_id) in self._sizes

    def path(self, file_id: str) -> Path:
        """The file, which counts as used now.

        Raises:
            InvalidRequest: no well-formed id.
            NotFound: no such file.
        """
        with self._lock:
            if file_id not in self:
                message = f"This backend has no such {self._what} (any more)."
                raise NotFound(message, "Send it again.", f"{self._what}_unknown")
            self._sizes.move_to_end(file_id)
            return self._path(file_id)

    @contextmanager
    def using(self, file_id: str) -> Iterator[Path]:
        """The file, which is neither given up nor deleted meanwhile."""
        with self._lock:
            path = self.path(file_id)
            self._in_use[file_id] += 1
        try:
            yield path
        finally:
            with self._lock:
                self._in_use[file_id] -= 1

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """A new private file to write to and then ``adopt``; removed if it was not adopted.

        Raises:
            OutOfSpace: the disk filled up meanwhile.
        """
        with out_of_space():
            file, name = tempfile.mkstemp(_PARTIAL, dir=self._folder)
            os.close(file)
            try:
                yield Path(name)
            finally:
                Path(name).unlink(missing_ok=True)

    def adopt(self, file_id: str, incoming: Path) -> bool:
        """Keep a file that was written under ``incoming``; False where its id was here already.

        Raises:
            TooLarge: it is larger than everything that may be kept.
            OutOfSpace: what is here is in use, so no room can be made.
        """
        with self._lock:
            if file_id in self:
                self._sizes.move_to_end(file_id)
                return False
            size = incoming.stat().st_size
            self._make_room(size)
            incoming.replace(self._path(file_id))
            self._sizes[file_id] = size
            return True

    def delete(self, file_id: str) -> None:
        """Forget a file.

        Raises:
            NotFound: no such file.
            InvalidRequest: a turn uses it now.
        """
        with self._lock:
            path = self.path(file_id)
            if self._in_use[file_id]:
                raise InvalidRequest(
                    f"This {self._what} is in use by a running turn.", "Stop the turn first.", "in_use"
                )
            path.unlink(missing_ok=True)
            del self._sizes[file_id]

    def _make_room(self, size: int) -> None:
        if size > self._max_bytes:
            raise TooLarge(
                f"The {self._what} has {size / 1e9:.2f} GB; {self._max_bytes / 1e9:.2f} GB may be kept.",
                "Crop or resample it, or give the backend more room.",
            )
        idle = [file_id for file_id in self._sizes if not self._in_use[file_id]]
        while sum(self._sizes.values()) + size > self._max_bytes:
            if not idle:
                raise OutOfSpace(
                    f"There is no room for another {self._what}: all that are kept are in use.",
                    "Wait for the running turns to end.",
                )
            self.delete(idle.pop(0))

    def _found_on_disk(self) -> OrderedDict[str, int]:
        """What an earlier service kept, least recently written first."""
        for leftover in self._folder.glob(f"*{_PARTIAL}"):
            leftover.unlink(missing_ok=True)
        stats = sorted(
            ((path, path.stat()) for path in self._folder.glob(f"*{self._suffix}")),
            key=lambda pair: pair[1].st_mtime,
        )
        return OrderedDict((path.name.removesuffix(self._suffix), stat.st_size) for path, stat in stats)

    def _path(self, file_id: str) -> Path:
        return self._folder / f"{file_id}{self._suffix}"

    def _checked(self, file_id: str) -> str:
        if not _ID.fullmatch(file_id):
            raise InvalidRequest(
                f"'{file_id[:80]}' is not the id of a {self._what}.", "Use the id as the backend gave it."
            )
        return file_id


@contextmanager
def out_of_space() -> Iterator[None]:
    """Turn the operating system's "disk full" into OutOfSpace."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        raise OutOfSpace(
            "The backend's disk is full.",
            "Free some space, or start the backend with --store on another disk.",
        ) from error
