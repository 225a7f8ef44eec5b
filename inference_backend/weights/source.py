"""Where files come from: the hub, plain addresses, or a folder copied from another machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from inference_backend.weights.errors import DownloadError

PIECE = 1024**2
"""Bytes that are read, written and reported at once."""


@dataclass(frozen=True)
class SourceFile:
    """A file that can be fetched; size and hashes as far as the source tells them.

    ``git_sha1`` is git's hash of a blob, all that a hub knows of its small files.
    """

    path: str
    size: int | None = None
    sha256: str | None = None
    git_sha1: str | None = None


@dataclass(frozen=True)
class Stream:
    """The bytes of a file from ``start`` on; a server may start before the place that was asked for."""

    start: int
    pieces: Iterator[bytes]


class Source(Protocol):
    """A place that holds the files of one entry."""

    @property
    def description(self) -> str:
        """Names the place to a person."""

    def revision(self) -> str:
        """The exact version of the files; empty where there are no versions."""

    def files(self) -> tuple[SourceFile, ...]:
        """Those files that are needed. Raises DownloadError."""

    def open(self, file: SourceFile, offset: int) -> AbstractContextManager[Stream]:
        """Read on from ``offset``. Raises DownloadError, also while pieces are taken."""


def safe_path(path: str) -> str:
    """A relative path that stays inside its folder on every system.

    Raises:
        DownloadError: it does not.
    """
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or any(sign in path for sign in '\\:\0<>|"?*'):
        raise DownloadError(
            f"The source names a file '{path}', which would lie outside of its folder.",
            "Do not use this source; tell whoever runs it.",
            "unsafe_path",
        )
    return path


class FolderSource:
    """A folder that holds an entry's files, such as one copied from another machine."""

    def __init__(self, folder: Path, files: tuple[SourceFile, ...], revision: str = "") -> None:
        self._folder = folder
        self._files = files
        self._revision = revision

    @property
    def description(self) -> str:
        return str(self._folder)

    def revision(self) -> str:
        return self._revision

    def files(self) -> tuple[SourceFile, ...]:
        return self._files

    @contextmanager
    def open(self, file: SourceFile, offset: int) -> Iterator[Stream]:
        try:
            with (self._folder / file.path).open("rb") as opened:
                opened.seek(offset)
                yield Stream(offset, iter(lambda: opened.read(PIECE), b""))
        except FileNotFoundError as error:
            raise DownloadError(
                f"{self._folder} has no {file.path}.", "Copy the whole folder again.", "not_found"
            ) from error
