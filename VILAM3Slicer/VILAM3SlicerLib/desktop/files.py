"""Files that the person takes away."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from errno import ENOSPC
from os import strerror
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

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


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Have ``write`` write a file as a whole, or leave the one that was there.

    Raises:
        OutOfSpace: it cannot be written; the message says why.
    """
    draft = path.with_name(path.name + ".part")
    try:
        write(draft)
        draft.replace(path)
    except OSError as error:
        said = _("'{name}' cannot be written: {reason}.").format(
            name=path.name, reason=error.strerror or error
        )
        raise OutOfSpace(said, _("Choose another place.")) from error
    finally:
        with suppress(OSError):  # the folder itself may be gone
            draft.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text; see ``write_whole``."""
    write_whole(path, lambda draft: draft.write_text(text, encoding="utf-8"))


def write_pdf(path: Path, title: str, html: str) -> None:
    """Write rich text as PDF; see ``write_whole``."""

    def write(draft: Path) -> None:
        document = qt.QTextDocument()
        document.setHtml(html)
        writer = qt.QPdfWriter(str(draft))
        writer.setTitle(title)
        document.print(writer)
        del writer  # closes the file
        if b"%%EOF" not in draft.read_bytes()[-1024:]:  # Qt does not tell
            raise OSError(ENOSPC, strerror(ENOSPC))

    write_whole(path, write)
