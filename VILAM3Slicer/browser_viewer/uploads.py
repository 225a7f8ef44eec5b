"""Files that the browser sends, kept in a folder of their own until the next ones come."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import BinaryIO

from browser_viewer.loading import SUFFIXES
from browser_viewer.scene_file import SUFFIX as SCENE_SUFFIX
from VILAM3SlicerLib.protocol.errors import InvalidRequest

MAX_BYTES = 8 * 1024**3
_NAMELESS = "uploaded files"


class Uploads:
    """The files of one choice of the person, under the names that they have there.

    Args:
        root: a folder that nobody else uses.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / _NAMELESS
        self._received = 0

    def begin(self, folder: str) -> None:
        """Forget what came before; ``folder`` is the name of the folder that was chosen, if one was."""
        self.remove()
        self._folder = self._root / (_plain(folder) or _NAMELESS)
        self._folder.mkdir(parents=True)
        self._received = 0

    def new_file(self, name: str) -> BinaryIO:
        """A file to be written; equal names, as subfolders have them, are numbered."""
        path = self._folder / (_plain(name) or "file")
        number = 1
        while path.exists():
            number += 1
            path = self._folder / f"{number}_{_plain(name)}"
        return path.open("wb")

    def count(self, size: int) -> None:
        """Note how many bytes came.

        Raises:
            InvalidRequest: it is too much.
        """
        self._received += size
        if self._received > MAX_BYTES:
            raise InvalidRequest("The files are larger than 8 GB.", "Open them by their path instead.")

    def what_to_open(self) -> Path | None:
        """The one file with an image or a scene, such as a header beside its data; else the folder."""
        files = sorted(self._folder.iterdir()) if self._folder.exists() else []
        if len(files) <= 1:
            return files[0] if files else None
        kinds = (*(suffix for suffix in SUFFIXES if suffix != ".dcm"), SCENE_SUFFIX)
        images = [file for file in files if file.name.lower().endswith(kinds)]
        return images[0] if len(images) == 1 else self._folder

    def remove(self) -> None:
        """Delete all that came."""
        shutil.rmtree(self._root, ignore_errors=True)


def _plain(name: str) -> str:
    """The last part of a name, without what leads out of the folder."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return "" if last in (".", "..") else last
