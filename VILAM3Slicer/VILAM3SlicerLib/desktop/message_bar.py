"""What went wrong, in a line above the tabs instead of a dialog."""

from __future__ import annotations

import logging
from collections.abc import Callable
from html import escape
from typing import Any

from slicer.i18n import tr as _

from VILAM3SlicerLib.desktop.translation import said_in_lines
from VILAM3SlicerLib.protocol.errors import VilaM3Error


class MessageBar:
    """Shows one message at a time; the next success takes it away.

    Args:
        frame: the frame that is hidden while there is nothing to say.
        label: where the words stand.
        close: the button that takes them away.
    """

    def __init__(self, frame: Any, label: Any, close: Any) -> None:
        self._frame = frame
        self._label = label
        close.connect("clicked()", self.clear)
        self.clear()

    def tell(self, error: VilaM3Error) -> None:
        """Say what is wrong and what can be done."""
        hint = f"<br>{escape(said_in_lines(error.hint))}" if error.hint else ""
        self._label.text = f"<b>{escape(said_in_lines(error.message))}</b>{hint}"
        self._frame.setVisible(True)

    def clear(self) -> None:
        """Say nothing."""
        self._label.text = ""
        self._frame.setVisible(False)

    @property
    def text(self) -> str:
        """What stands there now, empty for nothing."""
        return str(self._label.text)

    def guarded(self, action: Callable[..., Any]) -> Callable[..., None]:
        """A slot that cannot raise: errors become a message, surprises also an entry in the log."""

        def slot(*arguments: Any) -> None:
            try:
                action(*arguments)
            except VilaM3Error as error:
                self.tell(error)
            except Exception:
                logging.exception("VILAM3Slicer: a click could not be carried out")
                self.tell(
                    VilaM3Error(
                        _("Something unexpected went wrong."),
                        _("The scene is as it was. Details are in the error log (Help, Report a Bug)."),
                    )
                )
            else:
                self.clear()

        return slot
