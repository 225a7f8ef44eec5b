"""Points and a box that the person places for the question, and the buttons to place them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from VILAM3SlicerLib.chat.marks import MarkKind, MarkRow, mark_rows
from VILAM3SlicerLib.desktop.translation import said
from VILAM3SlicerLib.scene.question_marks import QuestionMarks


class MarksRow:
    """A row of buttons to place marks; under it the marks, each with a button that takes it away.

    Args:
        marks: where marks are placed.
        current: gives the marks that are placed now.
        on_change: called when they changed.
    """

    def __init__(
        self, marks: QuestionMarks, current: Callable[[], Any], on_change: Callable[[], None]
    ) -> None:
        self._marks = marks
        self._current = current
        self._on_change = on_change
        self.widget = qt.QWidget()
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        buttons = qt.QHBoxLayout()
        layout.addLayout(buttons)
        self._buttons = {kind: self._button(kind, *words) for kind, words in _kinds().items()}
        for button in self._buttons.values():
            buttons.addWidget(button)
        buttons.addStretch(1)
        self._chips = qt.QVBoxLayout()
        layout.addLayout(self._chips)
        self._shown: list[MarkRow] = []
        marks.on_change = self._changed
        self.refresh()

    def refresh(self) -> None:
        """Show the marks as they are now."""
        for kind, button in self._buttons.items():
            button.setChecked(self._marks.placing == kind)
        rows = mark_rows(self._current())
        if rows != self._shown:
            self._shown = rows
            self._show(rows)

    def set_enabled(self, enabled: bool) -> None:
        """Whether marks can be placed now."""
        for button in self._buttons.values():
            button.setEnabled(enabled)

    def _changed(self) -> None:
        self.refresh()
        self._on_change()

    def _button(self, kind: MarkKind, text: str, hint: str) -> Any:
        button = qt.QToolButton()
        button.setText(text)
        button.setToolTip(hint)
        button.setCheckable(True)
        button.connect("clicked(bool)", lambda checked: self._place(kind, checked))
        return button

    def _place(self, kind: MarkKind, start: bool) -> None:
        if start:
            self._marks.start_placing(kind)
        else:
            self._marks.stop_placing()

    def _show(self, rows: list[MarkRow]) -> None:
        while self._chips.count():
            chip = self._chips.takeAt(0).widget()
            chip.hide()
            chip.deleteLater()
        for row in rows:
            self._chips.addWidget(self._chip(row))

    def _chip(self, row: MarkRow) -> Any:
        """A button that takes the mark away; its words are cut rather than that they widen the panel."""
        words = said(row.text)
        chip = qt.QPushButton(f"×  {words}")
        chip.setToolTip(_("Take this mark away: {mark}").format(mark=words))
        chip.setFlat(True)
        chip.setStyleSheet("text-align: left; padding: 2px;")
        chip.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)
        chip.connect("clicked()", lambda: self._remove(row))
        return chip

    def _remove(self, row: MarkRow) -> None:
        if row.kind == "box":
            self._marks.remove_box()
        else:
            self._marks.remove_point(row.index)


def _kinds() -> dict[MarkKind, tuple[str, str]]:
    return {
        "add": (_("Ask here"), _("Click a structure in a slice view: the question is about this point.")),
        "remove": (_("Not here"), _("Click a place that does not belong to the structure.")),
        "box": (_("Box"), _("Click two opposite corners of a box in a slice view.")),
    }
