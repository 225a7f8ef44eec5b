"""The page VILAM3Slicer of the application settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
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
from VILAM3SlicerLib.desktop.qt_settings import GROUP
from VILAM3SlicerLib.desktop.translation import said
from VILAM3SlicerLib.desktop.ui_files import load_ui

_TITLE = "VILAM3Slicer"
_PANEL_NAME = "VILAM3SlicerSettingsPanel"
_TICKED = {True: "yes", False: "", "true": "yes", "false": ""}
"""What a box's state is in our settings; the dialog keeps it in words of its own."""


class SettingsPage:
    """Shows the kept settings in a panel of the dialog, which knows what they were: Cancel brings that back.

    What is set holds at once for the next start or connection. The panel outlives a reload of the module;
    ``close`` before another page takes it over.
    """

    def __init__(self, connection: Connection, consents: RecordedConsents, panel: Any) -> None:
        self._connection = connection
        self._consents = consents
        self._panel = panel
        self._ui = ui = slicer.util.childWidgetVariables(panel)
        self._edits = _edits(ui)
        self._connected: list[tuple[Any, str, Callable[..., None]]] = []
        self._is_taking = False
        self._was_removing = False
        self._connect_signals()
        self._end_listening = connection.listen(self._show_removal)
        connection.settings.on_change.append(self._fill)
        self._fill()
        self._fill_consents()
        ui.removeFrame.setVisible(False)
        self._show_removal()

    def close(self) -> None:
        """Listen no more, neither to the connection nor to the dialog."""
        self._end_listening()
        self._connection.settings.on_change.remove(self._fill)
        for sender, signal, slot in self._connected:
            sender.disconnect(signal, slot)
        self._connected.clear()

    def _connect_signals(self) -> None:
        ui = self._ui
        for sender, signal, slot in (
            (self._panel, "settingChanged(QString,QVariant)", self._take),
            (ui.folderButton, "clicked()", self._choose_folder),
            (ui.pythonButton, "clicked()", self._choose_python),
            (ui.caButton, "clicked()", self._choose_ca_file),
            (ui.takeBackButton, "clicked()", self._take_back),
            (ui.removeButton, "clicked()", self._ask_to_remove),
            (ui.keepButton, "clicked()", self._keep),
            (ui.removeNowButton, "clicked()", self._remove),
        ):
            sender.connect(signal, slot)
            self._connected.append((sender, signal, slot))

    def _fill(self) -> None:
        """Show what was set elsewhere; that is no change of this page, so nothing brings it back."""
        if self._is_taking:
            return
        now = self._connection.settings.now
        for name, edit in self._edits.items():
            edit.text = getattr(now, name)
        self._ui.folderEdit.placeholderText = str(replace(now, folder="").install_folder)
        self._ui.startBox.checked = now.starts_with_module == "yes"
        self._panel.applySettings()

    def _take(self, key: str, value: Any) -> None:
        """The person changed something, or cancelled that."""
        settings, name = self._connection.settings, key.rpartition("/")[2]
        before = settings.now.install_folder
        self._is_taking = True
        settings.change(**{name: _TICKED.get(value, str(value or "").strip())})
        self._is_taking = False
        if settings.now.install_folder != before:
            self._connection.desk.look()

    def _choose_folder(self) -> None:
        title = _("Folder of the backend")
        self._put(self._ui.folderEdit, qt.QFileDialog.getExistingDirectory(self._panel, title))

    def _choose_python(self) -> None:
        title = _("Python 3.11 to 3.13")
        self._put(self._ui.pythonEdit, qt.QFileDialog.getOpenFileName(self._panel, title))

    def _choose_ca_file(self) -> None:
        title = _("CA file (PEM)")
        self._put(self._ui.caEdit, qt.QFileDialog.getOpenFileName(self._panel, title))

    def _put(self, edit: Any, chosen: str) -> None:
        """As if it had been typed; nothing where nothing was chosen."""
        if chosen:
            edit.text = chosen
            edit.editingFinished()

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
        self._ui.removeLabel.text = said(removal_text(self._connection.state))
        self._ui.removeFrame.setVisible(True)

    def _keep(self) -> None:
        self._ui.removeFrame.setVisible(False)

    def _remove(self) -> None:
        self._ui.removeFrame.setVisible(False)
        self._connection.desk.remove(bool(self._ui.keepWeightsBox.checked))

    def _show_removal(self) -> None:
        state, ui = self._connection.state, self._ui
        ui.removeButton.enabled = "uninstall" in state.allowed
        if state.setup == "removing":
            ui.removedLabel.text = said(state.message)
        elif self._was_removing:
            ui.removedLabel.text = error_text(state.error) if state.error else _("The backend was removed.")
        self._was_removing = state.setup == "removing"
        self._fill_consents()


def register_settings_page(connection: Connection) -> SettingsPage:
    """Show the page in the application settings; close what is returned before another is registered."""
    return SettingsPage(connection, scan_consents(), _panel())


def open_settings_page() -> None:
    """Show the application settings at this page."""
    slicer.app.openSettingsDialog(_TITLE)


def _panel() -> Any:
    """Our panel of the settings dialog, which can be added but never taken away: a reload finds it there."""
    dialog = slicer.app.settingsDialog()
    found = dialog.findChild(ctk.ctkSettingsPanel, _PANEL_NAME)
    return found if found is not None else _new_panel(dialog)


def _new_panel(dialog: Any) -> Any:
    panel = ctk.ctkSettingsPanel()
    panel.setObjectName(_PANEL_NAME)
    panel.setLayout(qt.QVBoxLayout())
    widget, ui = load_ui("BackendSettings")
    panel.layout().addWidget(widget)
    dialog.addPanel(_TITLE, panel)
    for name, edit in _edits(ui).items():
        panel.registerProperty(f"{GROUP}/{name}", edit, "text", str(qt.SIGNAL("editingFinished()")))
    ticked = str(qt.SIGNAL("toggled(bool)"))
    panel.registerProperty(f"{GROUP}/starts_with_module", ui.startBox, "checked", ticked)
    return panel


def _edits(ui: Any) -> dict[str, Any]:
    """The line edits by the names of the settings."""
    return {
        "folder": ui.folderEdit,
        "python": ui.pythonEdit,
        "model": ui.modelEdit,
        "device": ui.deviceEdit,
        "proxy": ui.proxyEdit,
        "ca_file": ui.caEdit,
    }
