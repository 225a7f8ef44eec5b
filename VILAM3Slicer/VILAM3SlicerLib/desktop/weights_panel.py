"""The list of models and experts of the connected backend."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

from VILAM3SlicerLib.connection.weights import WeightsDesk, WeightsState, weights_text
from VILAM3SlicerLib.desktop.connection_words import error_text
from VILAM3SlicerLib.desktop.ui_files import load_ui
from VILAM3SlicerLib.protocol.weights import WeightsDescription


class WeightsPanel:
    """Shows a ``WeightsDesk`` and calls its methods."""

    def __init__(self, desk: WeightsDesk) -> None:
        self.widget, self._ui = load_ui("BackendWeights")
        self._desk = desk
        self._was_ready = False
        self._ui.table.setHorizontalHeaderLabels([_("Name"), _("State"), _("Size"), _("Licence")])
        header = self._ui.table.horizontalHeader()
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        for column in (1, 2):
            header.setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        self._ui.table.verticalHeader().setVisible(False)
        self._connect_signals()
        desk.on_change = self._show
        self._show()

    def refresh(self) -> None:
        """Ask the backend anew."""
        self._desk.refresh()

    def follow(self, is_ready: bool) -> None:
        """Ask anew when a backend has come or gone."""
        if is_ready != self._was_ready:
            self._was_ready = is_ready
            self._desk.refresh()

    def close(self) -> None:
        """Show nothing any more."""
        self._desk.on_change = lambda: None

    def _connect_signals(self) -> None:
        ui, desk = self._ui, self._desk
        for button, action in (
            (ui.downloadButton, desk.download),
            (ui.cancelButton, desk.cancel),
            (ui.verifyButton, desk.verify),
            (ui.removeButton, desk.remove),
        ):
            button.connect("clicked()", lambda action=action: action(self._selected))
        ui.refreshButton.connect("clicked()", desk.refresh)
        ui.acceptButton.connect("clicked()", desk.accept)
        ui.declineButton.connect("clicked()", desk.decline)
        ui.table.connect("itemSelectionChanged()", self._show_buttons)

    @property
    def _items(self) -> tuple[WeightsDescription, ...]:
        return self._desk.state.list.weights if self._desk.state.list else ()

    @property
    def _selected(self) -> str:
        row = self._ui.table.currentRow()
        return self._items[row].id if 0 <= row < len(self._items) else ""

    def _show(self) -> None:
        state, ui = self._desk.state, self._ui
        ui.folderLabel.text = _folder_text(state)
        ui.table.setRowCount(len(self._items))
        for row, item in enumerate(self._items):
            cells = (item.title, weights_text(item, state.job(item.id)), _size(item), item.licence)
            for column, text in enumerate(cells):
                self._put(row, column, text)
        ui.troubleLabel.text = error_text(state.error) if state.error else ""
        ui.troubleLabel.setVisible(state.error is not None)
        ui.licenceFrame.setVisible(state.question is not None)
        if state.question is not None:
            ui.licenceLabel.text = _("Read and accept this before {name} is fetched:").format(
                name=state.question.name
            )
            ui.licenceText.plainText = "\n\n".join(text.text for text in state.question.texts)
        self._show_buttons()

    def _put(self, row: int, column: int, text: str) -> None:
        """Change a cell without losing the selection."""
        table = self._ui.table
        cell = table.item(row, column)
        if cell is None:
            cell = qt.QTableWidgetItem(text)
            table.setItem(row, column, cell)
        elif cell.text() != text:
            cell.setText(text)
        cell.setToolTip(text)

    def _show_buttons(self) -> None:
        ui, name = self._ui, self._selected
        item = next((one for one in self._items if one.id == name), None)
        job = self._desk.state.job(name)
        runs = job is not None and job.state == "running"
        ui.downloadButton.enabled = item is not None and item.state != "present" and not runs
        ui.cancelButton.enabled = runs
        ui.verifyButton.enabled = item is not None and item.state == "present" and not runs
        ui.removeButton.enabled = item is not None and item.here_bytes > 0 and not runs


def _folder_text(state: WeightsState) -> str:
    if state.list is None:
        return str(_("Start or connect a backend to see its models."))
    free = f"{state.list.free_bytes / 1e9:.0f}"
    text = _("They lie in {folder} of the backend's machine; {free} GB are free.")
    return str(text.format(folder=state.list.folder, free=free))


def _size(item: WeightsDescription) -> str:
    return f"{item.size_bytes / 1e9:.1f} GB"
