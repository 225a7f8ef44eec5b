"""Files that the person takes away."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from errno import ENOSPC
from os import strerror
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from VILAM3SlicerLib.protocol.errors import OutOfSpace

_FOLDER = "VILAM3Slicer/exportFolder"
"""The setting that remembers where the last file went."""

_SHOWN_MS = 5000
"""How long the status bar says that a file was written."""


def ask_file_name(parent: Any, title: str, name: str, kind: str) -> Path | None:
    """Where to write a file; None if the person does not want to.

    Args:
        name: what is offered; its ending is given to a name that has none.
        kind: the kinds of files that are listed, as Qt writes them.
    """
    settings = qt.QSettings()
    offered = Path(settings.value(_FOLDER, "") or str(Path.home())) / name
    while chosen := qt.QFileDialog.getSaveFileName(parent, title, str(offered), kind):
        path = with_ending(Path(chosen), "".join(Path(name).suffixes))
        if path == Path(chosen) or not path.exists():
            settings.setValue(_FOLDER, str(path.parent))
            return path
        offered = path  # Qt asked about another name: let it ask whether this file is to be replaced
    return None


def with_ending(path: Path, ending: str) -> Path:
    """A path with an ending such as ``.txt``; of one of two parts, as ``.seg.nrrd``, both are needed."""
    last = Path(ending).suffix or ending
    if path.name.endswith(ending) or (ending == last and path.suffix):
        return path
    return path.with_name(path.name.removesuffix(last) + ending)


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
    tell_written(path)


def tell_written(path: Path) -> None:
    """Say in the status bar where the file is."""
    slicer.util.showStatusMessage(_("Written: {path}").format(path=path), _SHOWN_MS)


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
