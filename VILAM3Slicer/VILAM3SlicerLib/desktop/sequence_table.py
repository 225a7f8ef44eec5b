"""Which volume of an MRI study is which sequence: found by name, for the person to correct."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from VILAM3SlicerLib.desktop.translation import said
from VILAM3SlicerLib.protocol.messages import MriRole
from VILAM3SlicerLib.protocol.mri_sequences import ROLES
from VILAM3SlicerLib.viewer.scan_scene import ScanScene

_IN_A_ROW = 2
"""Roles; four rows would leave the conversation no room in a small window."""


class SequenceTable:
    """The four roles, each with the volumes that could be that sequence; hidden where there is no study.

    Args:
        scan: the scan that is talked about, with the study that was found and what the person chose instead.
        on_change: called when that changed.
    """

    def __init__(self, scan: ScanScene, on_change: Callable[[], None]) -> None:
        self._scan = scan
        self._study = scan.study
        self._on_change = on_change
        self.widget = qt.QFrame()
        self.widget.setFrameShape(qt.QFrame.StyledPanel)
        self._grid = qt.QGridLayout(self.widget)
        self._grid.setContentsMargins(4, 4, 4, 4)
        self._boxes: dict[str, Any] = {}
        self._message = qt.QLabel()
        self._message.setTextFormat(qt.Qt.PlainText)
        self._message.setWordWrap(True)
        self._confirm = qt.QPushButton(_("These are right"))
        self._confirm.connect("clicked()", self._study.confirm)
        last = len(ROLES) // _IN_A_ROW
        self._grid.addWidget(self._message, last, 0, 1, 2 * _IN_A_ROW)
        self._grid.addWidget(self._confirm, last + 1, 1, 1, 2 * _IN_A_ROW - 1)
        self._study.on_change = self._changed
        self.refresh()

    def _changed(self) -> None:
        self.refresh()
        self._on_change()

    def refresh(self) -> None:
        """Show the study as it is now."""
        is_asked = self._scan.node is not None and self._scan.modality == "MRI" and self._study.is_useful
        self.widget.setVisible(is_asked)
        if not is_asked:
            return
        for row in self._study.rows:
            box = self._boxes.get(row.role) or self._add_box(row.role)
            self._fill(box, row.key)
            box.setToolTip(f"{row.name}\n{_('Found by its name')}" if row.is_guess else row.name)
        self._message.text = said(self._study.message)
        self._message.setVisible(bool(self._study.message))
        self._confirm.setVisible(not self._study.is_confirmed and not self._study.message)

    def _add_box(self, role: MriRole) -> Any:
        box = qt.QComboBox()
        box.connect("activated(int)", lambda _index: self._study.choose(role, box.currentData or ""))
        box.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)
        row, column = divmod(len(self._boxes), _IN_A_ROW)
        self._grid.addWidget(qt.QLabel(role), row, 2 * column)
        self._grid.addWidget(box, row, 2 * column + 1)
        self._grid.setColumnStretch(2 * column + 1, 1)
        self._boxes[role] = box
        return box

    def _fill(self, box: Any, chosen: str) -> None:
        choices = [("", _("none")), *self._study.choices]
        shown = [(box.itemData(number), box.itemText(number)) for number in range(box.count)]
        if shown != choices:
            box.clear()
            for key, text in choices:
                box.addItem(text, key)
                box.setItemData(box.count - 1, text, qt.Qt.ToolTipRole)
        box.setCurrentIndex(box.findData(chosen))
