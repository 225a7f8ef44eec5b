"""A long body on its way out: written to a private file in the background, sent from there by Qt.

Handing Qt the bytes themselves would copy all of them at once in the event loop (106 ms for 70 MB).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import qt

from VILAM3SlicerLib.protocol.errors import OutOfSpace

_AT_ONCE = 8_000_000


@dataclass
class UploadFile:
    """A file of its owner only, which is removed after it was sent."""

    path: str
    device: Any = field(default=None)

    def open(self) -> None:
        """Make it readable for Qt; on the user interface's thread."""
        self.device = qt.QFile(self.path)
        self.device.open(qt.QIODevice.ReadOnly)


def write_upload(pieces: Iterable[bytes | memoryview]) -> UploadFile:
    """Write the body to a file. Runs in the background and touches no Qt.

    Raises:
        OutOfSpace: the disk of the temporary folder is full.
    """
    handle, path = tempfile.mkstemp(prefix="vilam3-upload-")
    try:
        with os.fdopen(handle, "wb", buffering=0) as file:
            for piece in pieces:
                view = memoryview(piece).cast("B")
                for start in range(0, len(view), _AT_ONCE):
                    file.write(view[start : start + _AT_ONCE])
    except OSError as error:
        os.unlink(path)
        folder = os.path.dirname(path)
        raise OutOfSpace(
            f"The scan cannot be sent: {folder} has no room for it ({error.strerror}).",
            "Free some space there, or set TMPDIR to another folder.",
        ) from error
    return UploadFile(path)


def remove_upload(upload: UploadFile) -> None:
    """Close and delete it."""
    if upload.device is not None:
        upload.device.close()
    os.unlink(upload.path)
