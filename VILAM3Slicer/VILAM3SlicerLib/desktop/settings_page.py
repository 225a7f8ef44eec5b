"""The page VILAM3Slicer of the application settings."""

from __future__ import annotations

from typing import Any

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from VILAM3SlicerLib.connection.connection import Connection
from VILAM3SlicerLib.connection.consent import RecordedConsents
from VILAM3SlicerLib.connection.setup_desk import removal_text
from VILAM3SlicerLib.desktop.backend import scan_consents
from VILAM3SlicerLib.desktop.connection_words import error_text
from VILAM3SlicerLib.desktop.ui_files import load_ui

_PANEL_NAME = "VILAM3SlicerSettingsPanel"


class SettingsPage:
    """Changes the kept settings as they are typed; they hold from the next start or connection on."""

    def __init__(self, connection: Connection, consents: RecordedConsents) -> None:
        self.widget, self._ui = load_ui("BackendSettings")
        self._connection = connection
        self._consents = consents
        ui = self._ui
        self._edits = {
            "python": ui.pythonEdit,
            "model": ui.modelEdit,
            "device": ui.deviceEdit,
            "proxy": ui.proxyEdit,
            "ca_file": ui.caEdit,
        }
        self._connect_signals()
        self._was_removing = False
        self._end_listening = connection.listen(self._show_removal)
        connection.settings.on_change.append(self._fill)
        self._fill()
        self._fill_consents()
        ui.removeFrame.setVisible(False)
        self._show_removal()

    def close(self) -> None:
        """Listen no more, and leave the dialog."""
        self._end_listening()
        self._connection.settings.on_change.remove(self._fill)
        self.widget.setParent(None)
        self.widget.deleteLater()

    def _connect_signals(self) -> None:
        ui = self._ui
        for edit in (*self._edits.values(), ui.folderEdit):
            edit.connect("editingFinished()", self._take)
        ui.startBox.connect("clicked()", self._take)
        ui.folderButton.connect("clicked()", self._choose_folder)
        ui.pythonButton.connect(
            "clicked()", lambda: self._choose_file(ui.pythonEdit, _("Python 3.11 to 3.13"))
        )
        ui.caButton.connect("clicked()", lambda: self._choose_file(ui.caEdit, _("CA file (PEM)")))
        ui.takeBackButton.connect("clicked()", self._take_back)
        ui.removeButton.connect("clicked()", self._ask_to_remove)
        ui.keepButton.connect("clicked()", lambda: ui.removeFrame.setVisible(False))
        ui.removeNowButton.connect("clicked()", self._remove)

    def _fill(self) -> None:
        now = self._connection.settings.now
        for name, edit in self._edits.items():
            edit.text = getattr(now, name)
        self._ui.folderEdit.text = str(now.install_folder)
        self._ui.startBox.checked = now.starts_with_module == "yes"

    def _take(self) -> None:
        settings = self._connection.settings
        changes = {name: edit.text.strip() for name, edit in self._edits.items()}
        folder = self._ui.folderEdit.text.strip()
        if folder != str(settings.now.install_folder):
            changes["folder"] = folder
        changes["starts_with_module"] = "yes" if self._ui.startBox.checked else ""
        before = settings.now.install_folder
        settings.change(**changes)
        if settings.now.install_folder != before:
            self._connection.desk.look()

    def _choose_folder(self) -> None:
        chosen = qt.QFileDialog.getExistingDirectory(self.widget, _("Folder of the backend"))
        if chosen:
            self._ui.folderEdit.text = chosen
            self._take()

    def _choose_file(self, edit: Any, title: str) -> None:
        chosen = qt.QFileDialog.getOpenFileName(self.widget, title)
        if chosen:
            edit.text = chosen
            self._take()

    def _fill_consents(self) -> None:
        self._ui.consentsList.clear()
        for consent in self._consents.all():
            self._ui.consentsList.addItem(consent.address)

    def _take_back(self) -> None:
        item = self._ui.consentsList.currentItem()
        if item is not None:
            self._connection.take_back_consent(item.text())
            self._fill_consents()

    def _ask_to_remove(self) -> None:
        self._ui.removeLabel.text = removal_text(self._connection.state)
        self._ui.removeFrame.setVisible(True)

    def _remove(self) -> None:
        self._ui.removeFrame.setVisible(False)
        self._connection.desk.remove(bool(self._ui.keepWeightsBox.checked))

    def _show_removal(self) -> None:
        state, ui = self._connection.state, self._ui
        ui.removeButton.enabled = "uninstall" in state.allowed
        if state.setup == "removing":
            ui.removedLabel.text = state.message
        elif self._was_removing:
            ui.removedLabel.text = error_text(state.error) if state.error else _("The backend was removed.")
        self._was_removing = state.setup == "removing"
        self._fill_consents()


def register_settings_page(connection: Connection) -> SettingsPage:
    """Show the page in the application settings; close what is returned before another is registered."""
    page = SettingsPage(connection, scan_consents())
    _panel().layout().addWidget(page.widget)
    return page


def _panel() -> Any:
    """Our panel of the settings dialog, which can be added but never taken away: a reload finds it there."""
    dialog = slicer.app.settingsDialog()
    found = dialog.findChild(ctk.ctkSettingsPanel, _PANEL_NAME)
    if found is not None:
        return found
    panel = ctk.ctkSettingsPanel()
    panel.setObjectName(_PANEL_NAME)
    panel.setLayout(qt.QVBoxLayout())
    dialog.addPanel("VILAM3Slicer", panel)
    return panel
