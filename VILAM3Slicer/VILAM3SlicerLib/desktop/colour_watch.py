"""Noticing that the application took on other colours, such as its dark style."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt


class ColourWatch(qt.QObject):  # type: ignore[misc] # Qt has no types
    """Calls ``on_change`` when a widget gets another palette; to be kept for as long as it watches."""

    def __init__(self, widget: Any, on_change: Callable[[], None]) -> None:
        super().__init__()
        self._widget = widget
        self._on_change = on_change
        widget.installEventFilter(self)

    def close(self) -> None:
        """Watch no more."""
        self._widget.removeEventFilter(self)

    def eventFilter(self, _watched: Any, event: Any) -> bool:  # noqa: N802 - Qt's name
        if event.type() in (qt.QEvent.PaletteChange, qt.QEvent.StyleChange):
            self._on_change()
        return False
