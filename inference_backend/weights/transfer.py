"""Fetching one file: goes on after a cut, tries again, and believes nothing but the hash.

While it is fetched a file is called ``NAME.part``; under its own name it is always whole.
"""

from __future__ import annotations

import errno
from pathlib import Path

from inference_backend.weights.errors import DownloadError
from inference_backend.weights.manifest import FileRecord, git_sha1_of, sha256_of
from inference_backend.weights.patience import Patience
from inference_backend.weights.progress import Tracker
from inference_backend.weights.source import Source, SourceFile
from VILAM3SlicerLib.protocol.errors import OutOfSpace, VilaM3Error

GO_ON = "Start the same command again: it goes on from here."


class Transfer:
    """Fetches files of one source into one folder."""

    def __init__(self, source: Source, folder: Path, tracker: Tracker, patience: Patience) -> None:
        self._source = source
        self._folder = folder
        self._tracker = tracker
        self._patience = patience

    def fetch(self, file: SourceFile) -> FileRecord:
        """Fetch ``file`` or what is missing of it; one that arrives damaged is fetched once more.

        Raises:
            DownloadError: it could not be fetched; what has arrived is kept, unless it is damaged.
            OutOfSpace: the disk is full.
            Cancelled: the tracker was cancelled.
        """
        target = self._folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        record = self._kept(file, target) or self._fetched(file, target)
        self._tracker.at(file.path, record.size)
        return record

    def _kept(self, file: SourceFile, target: Path) -> FileRecord | None:
        """What an earlier run fetched; gone if it is another file than is wanted now."""
        if not target.is_file():
            return None
        record = checked(file, target)
        if record is None:
            target.unlink()
        return record

    def _fetched(self, file: SourceFile, target: Path) -> FileRecord:
        part = part_of(target)
        for _ in range(2):
            self._complete(file, part)
            record = checked(file, part)
            if record is not None:
                part.replace(target)
                return record
            part.unlink()
        raise DownloadError(
            f"{file.path} arrived damaged twice: it is not what {self._source.description} promises.",
            "Start the same command again later, or use another source.",
            "checksum_mismatch",
        )

    def _complete(self, file: SourceFile, part: Path) -> None:
        """Read on, through passing failures, until all bytes are here."""
        failures = 0
        while True:
            before = _size(part)
            try:
                self._read_on(file, part)
                return
            except DownloadError as error:
                failures = 1 if _size(part) > before else failures + 1
                _tell_what_is_kept(error, part, file)
                self._tracker.wait(self._patience.after(error, failures))

    def _read_on(self, file: SourceFile, part: Path) -> None:
        if file.size is not None and _size(part) == file.size:
            return
        if file.size is None or _size(part) > file.size:
            part.unlink(missing_ok=True)
        try:
            self._write(file, part)
        except OSError as error:
            raise _disk_error(error, part) from error
        self._require_complete(file, part)

    def _write(self, file: SourceFile, part: Path) -> None:
        with self._source.open(file, _size(part)) as stream, part.open("ab") as out:
            out.truncate(stream.start)
            position = stream.start
            for piece in stream.pieces:
                out.write(piece)
                position += len(piece)
                self._tracker.at(file.path, position)
                _require_expected(file, position)

    def _require_complete(self, file: SourceFile, part: Path) -> None:
        if file.size is not None and _size(part) < file.size:
            raise DownloadError(f"{file.path} ended too early.", GO_ON, "download_cut", passing=True)


def part_of(target: Path) -> Path:
    """Where a file lies that is not whole yet."""
    return target.with_name(f"{target.name}.part")


def checked(file: SourceFile, path: Path) -> FileRecord | None:
    """The record of ``path`` if it is the file that the source promises, as far as it promises anything."""
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        return None
    if file.git_sha1 and git_sha1_of(path) != file.git_sha1:
        return None
    sha256 = sha256_of(path)
    return FileRecord(file.path, size, sha256) if file.sha256 in (None, sha256) else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _require_expected(file: SourceFile, position: int) -> None:
    if file.size is not None and position > file.size:
        raise DownloadError(
            f"More came for {file.path} than the {file.size} bytes that were promised.", GO_ON, passing=True
        )


def _tell_what_is_kept(error: DownloadError, part: Path, file: SourceFile) -> None:
    here = _size(part)
    if here and file.size:
        error.message += f" {here / 1e6:.1f} of {file.size / 1e6:.1f} MB of {file.path} are kept."


def _disk_error(error: OSError, path: Path) -> VilaM3Error:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutOfSpace(f"The disk of {path.parent} is full.", f"Free some space. {GO_ON}")
    return DownloadError(
        f"{path} cannot be read or written: {error}", "Mend this, then start the same command again."
    )
