"""The box for the question: Enter sends, Shift+Enter breaks the line, the arrows bring questions back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt

from VILAM3SlicerLib.chat.recall import Recall
from VILAM3SlicerLib.desktop.key_filter import ENTER, KeyFilter


class QuestionBox:
    """A QPlainTextEdit that sends.

    Args:
        edit: the box.
        send: called when the person wants to send what is typed.
        questions: gives the questions asked so far, the oldest first.
    """

    def __init__(self, edit: Any, send: Callable[[], None], questions: Callable[[], Sequence[str]]) -> None:
        self._edit = edit
        self._send = send
        self._recall = Recall(questions)
        self._keys = KeyFilter(self._on_key)
        edit.installEventFilter(self._keys)

    @property
    def text(self) -> str:
        """What is typed."""
        return str(self._edit.plainText)

    @text.setter
    def text(self, text: str) -> None:
        self._edit.setPlainText(text)
        self._edit.moveCursor(qt.QTextCursor.End)

    def focus(self) -> None:
        """Let the person type."""
        self._edit.setFocus()

    def close(self) -> None:
        """Look at no more keys."""
        self._edit.removeEventFilter(self._keys)

    def _on_key(self, key: int, shift: bool) -> bool:
        if key in ENTER and not shift:
            self._send()
            return True
        if shift or not self._may_recall(key):
            return False
        if key == int(qt.Qt.Key_Up):
            self.text = self._recall.older(self.text)
            return True
        if key == int(qt.Qt.Key_Down) and self._recall.is_showing(self.text):
            self.text = self._recall.newer(self.text)
            return True
        return False

    def _may_recall(self, key: int) -> bool:
        """In a text that is being typed an arrow moves the cursor as long as there is a line to go to."""
        ways = {int(qt.Qt.Key_Up): qt.QTextCursor.Up, int(qt.Qt.Key_Down): qt.QTextCursor.Down}
        if key not in ways or self._recall.is_showing(self.text):
            return key in ways
        return not self._edit.textCursor().movePosition(ways[key])
