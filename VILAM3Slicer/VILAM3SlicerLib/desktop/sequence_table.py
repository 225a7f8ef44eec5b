"""Which volume of an MRI study is which sequence: found by name, for the person to correct."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from VILAM3SlicerLib.chat.mri_study import MriStudy
from VILAM3SlicerLib.protocol.messages import MriRole


class SequenceTable:
    """Four lines, each with the volumes that could be that sequence; hidden where there is no study.

    Args:
        study: what was found, and what the person chose instead.
        on_change: called when that changed.
    """

    def __init__(self, study: MriStudy, on_change: Callable[[], None]) -> None:
        self._study = study
        self._on_change = on_change
        self.widget = qt.QFrame()
        self.widget.setFrameShape(qt.QFrame.StyledPanel)
        self._form = qt.QFormLayout(self.widget)
        self._boxes: dict[str, Any] = {}
        self._message = qt.QLabel()
        self._message.setTextFormat(qt.Qt.PlainText)
        self._message.setWordWrap(True)
        self._confirm = qt.QPushButton(_("These are right"))
        self._confirm.connect("clicked()", study.confirm)
        self._form.addRow(self._message)
        self._form.addRow("", self._confirm)
        study.on_change = self._changed
        self.refresh()

    def _changed(self) -> None:
        self.refresh()
        self._on_change()

    def refresh(self) -> None:
        """Show the study as it is now."""
        self.widget.setVisible(self._study.is_useful)
        for row in self._study.rows:
            box = self._boxes.get(row.role) or self._add_box(row.role)
            self._fill(box, row.key)
            box.setToolTip(_("Found by its name") if row.is_guess else "")
        self._message.text = self._study.message
        self._message.setVisible(bool(self._study.message))
        self._confirm.setVisible(not self._study.is_confirmed and not self._study.message)

    def _add_box(self, role: MriRole) -> Any:
        box = qt.QComboBox()
        box.connect("activated(int)", lambda _index: self._study.choose(role, box.currentData or ""))
        self._form.insertRow(len(self._boxes), role, box)
        self._boxes[role] = box
        return box

    def _fill(self, box: Any, chosen: str) -> None:
        choices = [("", _("none")), *self._study.choices]
        shown = [(box.itemData(number), box.itemText(number)) for number in range(box.count)]
        if shown != choices:
            box.clear()
            for key, text in choices:
                box.addItem(text, key)
        box.setCurrentIndex(box.findData(chosen))
