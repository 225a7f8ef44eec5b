"""Looking at the keys that a text box is about to get."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt

ENTER = (int(qt.Qt.Key_Return), int(qt.Qt.Key_Enter))


def _ignore() -> None:
    """Nothing is to be done."""


class KeyFilter(qt.QObject):  # type: ignore[misc] # Qt has no types
    """An event filter to be installed on a text box, and kept for as long as that is.

    Args:
        take: gets a key and whether Shift is held, and tells whether the key is used up.
        on_leave: called when the box has lost the focus.
    """

    def __init__(self, take: Callable[[int, bool], bool], on_leave: Callable[[], None] = _ignore) -> None:
        super().__init__()
        self._take = take
        self._on_leave = on_leave

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802 - Qt's name
        if event.type() == qt.QEvent.FocusOut:
            self._on_leave()
        if event.type() != qt.QEvent.KeyPress:
            return False
        return self._take(int(event.key()), bool(event.modifiers() & qt.Qt.ShiftModifier))
