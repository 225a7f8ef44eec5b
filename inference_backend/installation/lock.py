"""One set-up at a time in a checkout: a lock that the operating system frees when its holder dies."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from inference_backend.installation.errors import AlreadyRunning


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file ``path`` for the time of the block.

    Raises:
        AlreadyRunning: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        if not _try_lock(file):
            holder = path.with_suffix(".pid")
            process = holder.read_text().strip() if holder.is_file() else "unknown"
            raise AlreadyRunning(
                f"Another set-up is working in this folder (process {process}).",
                "Wait until it has ended, then start the command again.",
            )
        path.with_suffix(".pid").write_text(str(os.getpid()))
        yield


def _try_lock(file: IO[str]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
