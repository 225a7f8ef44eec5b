"""The panel Backend: install, start, stop, connect, test, consent, log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from VILAM3SlicerLib.chat.interfaces import Host
from VILAM3SlicerLib.connection.connection import Connection
from VILAM3SlicerLib.connection.report import Report
from VILAM3SlicerLib.connection.setup_desk import plan_text
from VILAM3SlicerLib.connection.state import ConnectionState
from VILAM3SlicerLib.desktop import connection_words as words
from VILAM3SlicerLib.desktop.backend import desktop_weights
from VILAM3SlicerLib.desktop.colour_watch import ColourWatch
from VILAM3SlicerLib.desktop.settings_page import open_settings_page
from VILAM3SlicerLib.desktop.transcript_view import look_of
from VILAM3SlicerLib.desktop.translation import said
from VILAM3SlicerLib.desktop.ui_files import load_ui
from VILAM3SlicerLib.desktop.weights_panel import WeightsPanel


class ConnectionPanel:
    """Shows a ``Connection`` and calls its methods; decides nothing."""

    def __init__(self, connection: Connection, host: Host) -> None:
        self.widget, self._ui = load_ui("Backend")
        self._connection = connection
        self._host = host
        self._weights: WeightsPanel | None = None
        self._fill_settings()
        self._connect_signals()
        self._plain_link = str(self._ui.settingsLabel.text)
        self._colours = ColourWatch(self.widget, self._colour_link)
        self._colour_link()
        self._end_listening = connection.listen(self._show)
        connection.on_log = self._log
        connection.settings.on_change.append(self._follow_settings)
        self._show()

    def close(self) -> None:
        """Show nothing any more; the connection lives on."""
        self._end_listening()
        self._colours.close()
        self._connection.on_log = lambda _line: None
        self._connection.settings.on_change.remove(self._follow_settings)
        if self._weights is not None:
            self._weights.close()

    def _colour_link(self) -> None:
        """Qt's own colour of links cannot be read in the dark style."""
        colour = look_of(self.widget.palette).link
        self._ui.settingsLabel.text = self._plain_link.replace("<a ", f'<a style="color:{colour}" ')

    def _connect_signals(self) -> None:
        ui, desk = self._ui, self._connection.desk
        for button, action in (
            (ui.installButton, desk.prepare),
            (ui.agreeButton, desk.agree),
            (ui.declineButton, desk.cancel),
            (ui.cancelButton, desk.cancel),
            (ui.startButton, self._connection.start),
            (ui.stopButton, self._connection.stop),
            (ui.agreeToSendButton, self._connection.agree_to_send),
            (ui.testButton, self._test),
            (ui.connectButton, self._connect),
            (ui.folderButton, self._choose_folder),
            (ui.pythonButton, self._choose_python),
        ):
            button.connect("clicked()", action)
        ui.folderEdit.connect("editingFinished()", self._plan_anew)
        ui.pythonEdit.connect("editingFinished()", self._plan_anew)
        ui.addressBox.lineEdit().connect("returnPressed()", self._connect)
        ui.settingsLabel.connect("linkActivated(QString)", lambda _link: open_settings_page())
        ui.logToggle.connect("toggled(bool)", self._show_log)
        ui.weightsToggle.connect("toggled(bool)", self._show_weights)

    def _fill_settings(self) -> None:
        ui, now = self._ui, self._connection.settings.now
        ui.addressBox.setEditText(now.address)
        ui.keyEdit.text = now.key
        ui.rememberKeyBox.checked = now.remember_key == "yes"
        self._follow_settings()
        ui.logText.setVisible(False)
        ui.weightsPlace.setVisible(False)
        ui.reportLabel.setVisible(False)
        for line in self._connection.local.log:
            ui.logText.appendPlainText(line)

    def _follow_settings(self) -> None:
        """These may also be changed on the settings page."""
        now = self._connection.settings.now
        self._ui.pythonEdit.text = now.python
        self._ui.folderEdit.text = str(now.install_folder)

    def _show(self) -> None:
        state, ui = self._connection.state, self._ui
        ui.stateLabel.text = words.state_text(state)
        ui.troubleFrame.setVisible(state.error is not None)
        ui.troubleLabel.text = words.error_text(state.error) if state.error else ""
        ui.consentFrame.setVisible(bool(state.consent_question))
        ui.consentLabel.text = said(state.consent_question)
        self._show_setup(state)
        self._show_buttons(state)
        self._show_others(state)
        if self._weights is not None:
            self._weights.follow(state.phase == "ready")

    def _show_setup(self, state: ConnectionState) -> None:
        ui = self._ui
        ui.planFrame.setVisible(state.setup == "planned" or self._is_about_python(state))
        ui.planLabel.text = said(plan_text(state.plan)) if state.plan else ""
        ui.planLabel.setVisible(state.plan is not None)
        ui.agreeButton.enabled = state.setup == "planned"
        ui.progressFrame.setVisible(state.setup in ("looking", "installing", "removing"))
        ui.cancelButton.enabled = "cancel" in state.allowed
        if state.setup == "installing" and state.progress is not None:
            ui.progressLabel.text = words.progress_text(state.progress)
            ui.progressBar.setRange(0, 1000)
            ui.progressBar.value = round(1000 * state.progress.share)
        elif state.setup:
            ui.progressLabel.text = said(state.message)
            ui.progressBar.setRange(0, 0)

    def _is_about_python(self, state: ConnectionState) -> bool:
        """Whether naming another Python or folder is what helps."""
        codes = ("python_unusable", "python_missing", "folder_unusable")
        return state.error is not None and state.error.code in codes

    def _show_buttons(self, state: ConnectionState) -> None:
        ui, allowed = self._ui, state.allowed
        ui.installButton.text = words.install_button_text(state)
        ui.installButton.enabled = "install" in allowed and state.setup == ""
        ui.startButton.enabled = "start" in allowed
        ui.stopButton.enabled = "stop" in allowed
        ui.stopButton.text = _("Stop") if state.is_own else _("Disconnect")
        ui.connectButton.enabled = "connect" in allowed

    def _show_others(self, state: ConnectionState) -> None:
        """The person's own running backends are offered in the list of addresses."""
        box = self._ui.addressBox
        offered = [box.itemText(index) for index in range(box.count)]
        if offered != list(state.others):
            typed = box.currentText
            box.clear()
            box.addItems(list(state.others))
            box.setEditText(typed or (state.others[0] if state.others else ""))

    def _take_address(self) -> dict[str, str]:
        ui = self._ui
        remember = "yes" if ui.rememberKeyBox.checked else ""
        return {"address": ui.addressBox.currentText, "key": ui.keyEdit.text, "remember_key": remember}

    def _connect(self) -> None:
        self._ui.reportLabel.setVisible(False)
        self._connection.settings.change(**self._take_address())
        self._connection.connect()

    def _test(self) -> None:
        self._tell(Report(True, "", _("Trying.")))
        self._connection.test(self._tell, **self._take_address())

    def _tell(self, report: Report) -> None:
        self._ui.reportLabel.text = words.report_text(report)
        self._ui.reportLabel.setVisible(True)

    def _plan_anew(self) -> None:
        """Another folder or Python needs another plan; a field that only lost the focus changes nothing."""
        ui, settings = self._ui, self._connection.settings
        folder = ui.folderEdit.text.strip()
        wanted = {
            "folder": settings.now.folder if Path(folder) == settings.now.install_folder else folder,
            "python": ui.pythonEdit.text.strip(),
        }
        before = settings.now
        settings.change(**wanted)
        if settings.now != before:
            ui.folderEdit.text = str(settings.now.install_folder)
            self._connection.desk.prepare()

    def _choose_folder(self) -> None:
        chosen = qt.QFileDialog.getExistingDirectory(self.widget, _("Folder for the backend"))
        if chosen:
            self._ui.folderEdit.text = chosen
            self._plan_anew()

    def _choose_python(self) -> None:
        chosen = qt.QFileDialog.getOpenFileName(self.widget, _("Python 3.11 to 3.13"))
        if chosen:
            self._ui.pythonEdit.text = chosen
            self._plan_anew()

    def _show_log(self, wanted: bool) -> None:
        self._ui.logToggle.setArrowType(_arrow(wanted))
        self._ui.logText.setVisible(wanted)

    def _show_weights(self, wanted: bool) -> None:
        ui: Any = self._ui
        ui.weightsToggle.setArrowType(_arrow(wanted))
        if wanted and self._weights is None:
            self._weights = WeightsPanel(desktop_weights(self._connection, self._host))
            ui.weightsPlace.layout().addWidget(self._weights.widget)
        ui.weightsPlace.setVisible(wanted)
        if wanted and self._weights is not None:
            self._weights.refresh()

    def _log(self, line: str) -> None:
        self._ui.logText.appendPlainText(line)


def _arrow(is_open: bool) -> Any:
    return qt.Qt.DownArrow if is_open else qt.Qt.RightArrow
