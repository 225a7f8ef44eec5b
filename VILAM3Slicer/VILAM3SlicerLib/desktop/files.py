"""Files that the person takes away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt

from VILAM3SlicerLib.protocol.errors import OutOfSpace

_FOLDER = "VILAM3Slicer/exportFolder"
"""The setting that remembers where the last file went."""


def ask_file_name(parent: Any, title: str, name: str, kind: str) -> Path | None:
    """Where to write a file; None if the person does not want to."""
    settings = qt.QSettings()
    folder = settings.value(_FOLDER, "") or str(Path.home())
    chosen = qt.QFileDialog.getSaveFileName(parent, title, str(Path(folder) / name), kind)
    if not chosen:
        return None
    path = Path(chosen)
    settings.setValue(_FOLDER, str(path.parent))
    return path if path.suffix else path.with_name(path.name + Path(name).suffix)


def write_text(path: Path, text: str) -> None:
    """Write a file as a whole, or leave the one that was there.

    Raises:
        OutOfSpace: it cannot be written; the message says why.
    """
    draft = path.with_name(path.name + ".part")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise OutOfSpace(
            f"'{path.name}' cannot be written: {error.strerror or error}.", "Choose another place."
        ) from error
