"""A long body on its way out, in a private file that the network reads by itself.

Handing Qt the bytes themselves would copy all of them at once in the event loop (106 ms for 70 MB).
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterable

from VILAM3SlicerLib.protocol.errors import OutOfSpace
from VILAM3SlicerLib.protocol.phrases import phrases

_ = phrases(__name__)

_AT_ONCE = 8_000_000
"""Bytes."""


def write_upload(pieces: Iterable[bytes | memoryview]) -> str:
    """Write a body to a new file that only its owner can read; returns its path. Runs in the background.

    Raises:
        OutOfSpace: the disk of the temporary folder has no room for it; nothing is left there.
    """
    handle, path = tempfile.mkstemp(prefix="vilam3-upload-")
    try:
        with io.FileIO(handle, "wb") as file:
            for piece in pieces:
                _write(file, memoryview(piece).cast("B"))
    except OSError as error:
        os.unlink(path)
        raise OutOfSpace(
            _("The scan cannot be sent: {dirname} has no room for it ({strerror}).").format(
                dirname=os.path.dirname(path), strerror=error.strerror
            ),
            _("Free some space there, or set TMPDIR to another folder."),
        ) from error
    return path


def _write(file: io.FileIO, view: memoryview) -> None:
    """All of it: an unbuffered write may take less than it is given."""
    done = 0
    while done < len(view):
        done += file.write(view[done : done + _AT_ONCE])
