"""The segments of the scan: colour, size, visibility, opacity, the way to them and out of Slicer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from VILAM3SlicerLib.chat.rows import SegmentRow, headings
from VILAM3SlicerLib.desktop.files import ask_file_name, tell_written
from VILAM3SlicerLib.desktop.message_bar import MessageBar
from VILAM3SlicerLib.desktop.qt_settings import QtSettingsStore
from VILAM3SlicerLib.desktop.translation import said
from VILAM3SlicerLib.desktop.ui_files import load_ui
from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.scene.size_table import find_table
from VILAM3SlicerLib.viewer.scan_scene import ScanScene

_LINE_SPACE = 8
"""Pixels between two lines of text: over a hundred structures are looked through."""

_NAME, _SIZE, _COLUMNS = range(3)

_BESIDE = "keeps_earlier"
"""The setting by which a repeated segmentation stands beside the earlier one."""


class SegmentList:
    """A table with a line for each segment, under a line for each expert.

    Args:
        scene: the scan and its segments.
        messages: where errors and news are told.
    """

    def __init__(self, scene: ScanScene, messages: MessageBar) -> None:
        self.widget, self._ui = load_ui("SegmentList")
        self._scene = scene
        self._messages = messages
        self._settings = QtSettingsStore()
        self._rows: list[SegmentRow] = []
        self._lines: list[SegmentRow | str] = []
        self._is_filled = False
        self._filling = False
        self._table = self._ui.segmentTable
        self._prepare_table()
        self._connect()
        self.refresh(())

    def refresh(self, rows: Sequence[SegmentRow]) -> None:
        """Show these segments; lines that look the same are not touched."""
        if self._is_filled and list(rows) == self._rows:
            return
        before, self._is_filled = self._lines, True
        self._rows, self._lines = list(rows), _lines(rows)
        self._filling = True
        self._table.setRowCount(len(self._lines))
        for number, line in enumerate(self._lines):
            if number >= len(before) or line != before[number]:
                self._fill(number, line)
        self._filling = False
        self._ui.emptyLabel.setVisible(not rows)
        for widget in (self._table, self._ui.opacityRow, self._ui.segmentButtons):
            widget.setVisible(bool(rows))
        anything = any(row.visible for row in rows)
        self._ui.showAllButton.text = _("Hide all") if anything else _("Show all")

    def _prepare_table(self) -> None:
        table = self._table
        table.setColumnCount(_COLUMNS)
        table.setHorizontalHeaderLabels([_("Segment"), _("Size")])
        table.horizontalHeader().setSectionResizeMode(_NAME, qt.QHeaderView.Stretch)
        table.horizontalHeader().setSectionResizeMode(_SIZE, qt.QHeaderView.ResizeToContents)
        table.verticalHeader().setVisible(False)
        table.verticalHeader().setDefaultSectionSize(table.fontMetrics().height() + _LINE_SPACE)
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.setShowGrid(False)

    def _connect(self) -> None:
        guarded = self._messages.guarded
        self._toggle = guarded(self._scene.toggle)
        self._table.connect("itemChanged(QTableWidgetItem*)", self._changed)
        self._table.connect("cellDoubleClicked(int,int)", guarded(lambda line, _column: self._go_to(line)))
        self._table.connect("itemSelectionChanged()", self._show_opacity)
        self._ui.opacitySlider.connect("valueChanged(int)", guarded(self._set_opacity))
        self._ui.goToButton.connect("clicked()", guarded(self._go_to_selected))
        self._ui.showAllButton.connect("clicked()", guarded(self._show_all))
        self._ui.editButton.connect("clicked()", guarded(self._edit))
        self._scene.replaces_earlier = self._settings.get(_BESIDE) != "yes"
        self._ui.replaceBox.setChecked(self._scene.replaces_earlier)
        self._ui.replaceBox.connect("toggled(bool)", self._choose_replacing)
        menu = qt.QMenu(self._ui.exportButton)
        for words, action in self._exports():
            menu.addAction(words).connect("triggered()", guarded(action))
        self._ui.exportButton.setMenu(menu)

    def _choose_replacing(self, replaces: bool) -> None:
        self._scene.replaces_earlier = replaces
        self._settings.set(_BESIDE, "" if replaces else "yes")

    def _exports(self) -> tuple[tuple[str, Callable[[], None]], ...]:
        return (
            (_("Segmentation file (.seg.nrrd)"), self._save_segmentation),
            (_("Table of the sizes"), self._open_table),
            (_("Labelmaps, models and more: module Segmentations"), self._open_segmentations),
        )

    def _fill(self, number: int, line: SegmentRow | str) -> None:
        columns = _COLUMNS if isinstance(line, str) else 1
        if self._table.columnSpan(number, _NAME) != columns:
            self._table.setSpan(number, _NAME, 1, columns)
        if isinstance(line, str):
            self._fill_heading(number, line)
        else:
            self._fill_segment(number, line)

    def _fill_heading(self, number: int, words: str) -> None:
        heading = qt.QTableWidgetItem(said(words))
        heading.setFlags(qt.Qt.ItemIsEnabled)
        font = heading.font()
        font.setBold(True)
        heading.setFont(font)
        self._table.setItem(number, _NAME, heading)

    def _fill_segment(self, number: int, row: SegmentRow) -> None:
        name = qt.QTableWidgetItem(row.name)
        name.setIcon(_swatch(row.rgb))
        flags = qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable
        name.setFlags(flags | qt.Qt.ItemIsUserCheckable if row.is_found else flags)
        if row.is_found:  # else there is nothing to show or hide
            name.setCheckState(qt.Qt.Checked if row.visible else qt.Qt.Unchecked)
        name.setToolTip(row.source)
        size = qt.QTableWidgetItem(said(row.size) + (_(", edited") if row.edited else ""))
        size.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
        self._table.setItem(number, _NAME, name)
        self._table.setItem(number, _SIZE, size)

    def _changed(self, item: Any) -> None:
        row = self._row_at(item.row())
        if self._filling or item.column() != _NAME or row is None or not row.is_found:
            return
        if (item.checkState() == qt.Qt.Checked) != row.visible:
            self._toggle(row.segment_id)
            self.refresh(self._scene.rows())

    def _selected(self) -> list[SegmentRow]:
        lines = sorted({index.row() for index in self._table.selectionModel().selectedRows()})
        return [row for line in lines if (row := self._row_at(line)) is not None]

    def _row_at(self, number: int) -> SegmentRow | None:
        """The segment in a line, None in that of an expert."""
        line = self._lines[number] if number < len(self._lines) else ""
        return None if isinstance(line, str) else line

    def _go_to(self, number: int) -> None:
        row = self._row_at(number)
        if row is not None:
            self._scene.go_to(row.segment_id)

    def _go_to_selected(self) -> None:
        for row in self._selected()[:1]:
            self._scene.go_to(row.segment_id)

    def _show_all(self) -> None:
        self._scene.show_all(not any(row.visible for row in self._rows))
        self.refresh(self._scene.rows())

    def _show_opacity(self) -> None:
        selected = self._selected()
        self._ui.opacityRow.setEnabled(bool(selected))
        if selected:
            blocked = self._ui.opacitySlider.blockSignals(True)
            self._ui.opacitySlider.setValue(round(100 * selected[0].opacity))
            self._ui.opacitySlider.blockSignals(blocked)

    def _set_opacity(self, percent: int) -> None:
        for row in self._selected():
            self._scene.set_opacity(row.segment_id, percent / 100)
        self.refresh(self._scene.rows())

    def _save_segmentation(self) -> None:
        kind = _("Segmentation") + " (*.seg.nrrd)"
        path = ask_file_name(self.widget, _("Save the segments"), "segmentation.seg.nrrd", kind)
        if path is not None:
            self._scene.save_segmentation(path)
            tell_written(path)

    def _open_table(self) -> None:
        table = find_table(slicer.mrmlScene, self._scene.node)
        if table is None:
            raise SceneError(_("The sizes are not measured yet."), _("Try again in a moment."))
        slicer.app.openNodeModule(table)

    def _edit(self) -> None:
        slicer.util.selectModule("SegmentEditor")
        editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
        editor.setSegmentationNode(self._scene.segmentation)
        editor.setSourceVolumeNode(self._scene.node)

    def _open_segmentations(self) -> None:
        slicer.app.openNodeModule(self._scene.segmentation)


def _lines(rows: Sequence[SegmentRow]) -> list[SegmentRow | str]:
    lines: list[SegmentRow | str] = []
    for heading, row in zip(headings(rows), rows, strict=True):
        lines += [heading, row] if heading else [row]
    return lines


def _swatch(rgb: Sequence[int]) -> Any:
    pixmap = qt.QPixmap(16, 16)
    pixmap.fill(qt.QColor(*rgb))
    return qt.QIcon(pixmap)
