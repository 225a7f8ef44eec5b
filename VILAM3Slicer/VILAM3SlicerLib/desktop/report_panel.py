"""The report beside the images: each sentence with its source, edited by the person, exported."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

from VILAM3SlicerLib.chat.report_document import SectionName
from VILAM3SlicerLib.desktop.files import ask_file_name, write_pdf, write_text
from VILAM3SlicerLib.desktop.key_filter import ENTER, KeyFilter
from VILAM3SlicerLib.desktop.message_bar import MessageBar
from VILAM3SlicerLib.desktop.translation import said
from VILAM3SlicerLib.desktop.ui_files import load_ui
from VILAM3SlicerLib.viewer.report_desk import ReportDesk

_OTHER: dict[SectionName, SectionName] = {"findings": "impression", "impression": "findings"}
"""Where a sentence can be moved to."""


_SOURCE_WIDTH = 120
"""Of the column of sources, in pixels; long names are wrapped."""


class ReportPanel:
    """A table of sections and sentences; the chosen sentence is edited in a box under it."""

    def __init__(self, desk: ReportDesk, messages: MessageBar) -> None:
        self.widget, self._ui = load_ui("ReportPanel")
        self._desk = desk
        self._lines: list[tuple[SectionName, int | None]] = []
        self._shown = ""
        self._keys = KeyFilter(self._on_key, messages.guarded(self._take_over))
        self._ui.sentenceEdit.installEventFilter(self._keys)
        self._prepare_table()
        for button, action in (
            (self._ui.addButton, self._add),
            (self._ui.removeButton, self._remove),
            (self._ui.moveButton, self._move),
            (self._ui.anewButton, desk.start_anew),
            (self._ui.exportTextButton, self._export_text),
            (self._ui.exportPdfButton, self._export_pdf),
            (self._ui.exportSceneButton, desk.into_scene),
        ):
            button.connect("clicked()", messages.guarded(action))
        desk.on_change = self._show
        self._show()

    def refresh(self) -> None:
        """Follow the conversation."""
        self._desk.refresh()

    def close(self) -> None:
        """Look at no more keys."""
        self._ui.sentenceEdit.removeEventFilter(self._keys)

    def _prepare_table(self) -> None:
        table = self._ui.reportTable
        table.setColumnCount(2)
        table.setHorizontalHeaderLabels([_("Sentence"), _("Source")])
        table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        table.horizontalHeader().setSectionResizeMode(1, qt.QHeaderView.Fixed)
        table.setColumnWidth(1, _SOURCE_WIDTH)
        table.verticalHeader().setVisible(False)
        table.verticalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.setWordWrap(True)
        table.connect("itemSelectionChanged()", self._show_chosen)

    def _show(self) -> None:
        """Fill the table anew; what is being typed about a sentence goes on being about that sentence."""
        edit, row = self._ui.sentenceEdit, self._ui.reportTable.currentRow()
        chosen, shown = self._chosen(), self._shown
        typed = str(edit.plainText) if edit.hasFocus() and str(edit.plainText) != shown else None
        self._fill()
        again = self._find(chosen[0], shown) if chosen is not None and chosen[1] is not None else row
        if again is None and typed is None:
            again = min(row, len(self._lines) - 1)
        self._ui.reportTable.setCurrentCell(-1 if again is None else again, 0)
        self._show_chosen()
        if typed is not None and again is not None:
            edit.setPlainText(typed)
            edit.moveCursor(qt.QTextCursor.End)

    def _find(self, section: SectionName, text: str) -> int | None:
        """The line of a sentence, None where it is gone."""
        sentences = self._desk.document.section(section).sentences
        for row, (name, place) in enumerate(self._lines):
            if name == section and place is not None and sentences[place].text == text:
                return row
        return None

    def _fill(self) -> None:
        self._lines = []
        self._ui.reportTable.clearSpans()
        self._ui.reportTable.setRowCount(0)
        for section in self._desk.document.sections:
            self._append((section.name, None), said(section.title), "")
            for place, sentence in enumerate(section.sentences):
                self._append((section.name, place), sentence.text, said(sentence.source.label))

    def _append(self, line: tuple[SectionName, int | None], text: str, source: str) -> None:
        table, row = self._ui.reportTable, len(self._lines)
        self._lines.append(line)
        table.insertRow(row)
        item = qt.QTableWidgetItem(text)
        table.setItem(row, 0, item)
        if line[1] is None:
            font = item.font()
            font.setBold(True)
            item.setFont(font)
            table.setSpan(row, 0, 1, 2)
        else:
            table.setItem(row, 1, qt.QTableWidgetItem(source))

    def _chosen(self) -> tuple[SectionName, int | None] | None:
        """Section and place of the chosen sentence; the place is None for a section's title."""
        row = self._ui.reportTable.currentRow()
        return self._lines[row] if 0 <= row < len(self._lines) else None

    def _sentence(self) -> str | None:
        chosen = self._chosen()
        if chosen is None or chosen[1] is None:
            return None
        return self._desk.document.section(chosen[0]).sentences[chosen[1]].text

    def _show_chosen(self) -> None:
        chosen, sentence = self._chosen(), self._sentence()
        self._shown = sentence or ""
        self._ui.sentenceEdit.setPlainText(self._shown)
        self._ui.sentenceEdit.setEnabled(sentence is not None)
        self._ui.removeButton.setEnabled(sentence is not None)
        self._ui.moveButton.setEnabled(sentence is not None and chosen is not None and chosen[0] in _OTHER)
        self._ui.addButton.setEnabled(chosen is not None)

    def _on_key(self, key: int, shift: bool) -> bool:
        if key not in ENTER or shift:
            return False
        self._ui.reportTable.setFocus()  # leaving the box takes the change over
        return True

    def _take_over(self) -> None:
        chosen, text = self._chosen(), str(self._ui.sentenceEdit.plainText)
        if chosen is not None and chosen[1] is not None and text != self._sentence():
            self._desk.edit(chosen[0], chosen[1], text)

    def _add(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            sentences = self._desk.document.section(chosen[0]).sentences
            place = len(sentences) if chosen[1] is None else chosen[1] + 1
            self._desk.add(chosen[0], place, _("New sentence."))
            self._ui.reportTable.setCurrentCell(self._lines.index((chosen[0], place)), 0)
            self._ui.sentenceEdit.setFocus()
            self._ui.sentenceEdit.selectAll()

    def _remove(self) -> None:
        chosen = self._chosen()
        if chosen is not None and chosen[1] is not None:
            self._desk.edit(chosen[0], chosen[1], "")

    def _move(self) -> None:
        chosen = self._chosen()
        if chosen is not None and chosen[1] is not None and chosen[0] in _OTHER:
            self._desk.move(chosen[0], chosen[1], _OTHER[chosen[0]])

    def _export_text(self) -> None:
        path = ask_file_name(self.widget, _("Save the report"), "report.txt", _("Text") + " (*.txt)")
        if path is not None:
            write_text(path, self._desk.text())

    def _export_pdf(self) -> None:
        path = ask_file_name(self.widget, _("Save the report"), "report.pdf", "PDF (*.pdf)")
        if path is not None:
            write_pdf(path, _("Draft report"), self._desk.html())
