"""The module's tabs, filled with panels that follow one session."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from VILAM3SlicerLib.chat.words import standing_notice
from VILAM3SlicerLib.desktop.behind_panel import BehindPanel
from VILAM3SlicerLib.desktop.chat_panel import ChatPanel
from VILAM3SlicerLib.desktop.connection_panel import ConnectionPanel
from VILAM3SlicerLib.desktop.message_bar import MessageBar
from VILAM3SlicerLib.desktop.module_session import ModuleSession
from VILAM3SlicerLib.desktop.report_panel import ReportPanel
from VILAM3SlicerLib.desktop.segment_list import SegmentList
from VILAM3SlicerLib.desktop.translation import said

_CHAT, _SEGMENTS, _REPORT, _BEHIND, _BACKEND = range(5)


class ModulePanels:
    """Fills the tabs of ``VILAM3Slicer.ui``.

    Args:
        ui: the named widgets of that file.
        session: what stands behind the panels.
    """

    def __init__(self, ui: Any, session: ModuleSession) -> None:
        self._ui = ui
        self._session = session
        self._told: tuple[int, bool] | None = None
        self.messages = MessageBar(ui.messageBar, ui.messageLabel, ui.messageClose)
        self.chat = ChatPanel(session, self.messages)
        self.segments = SegmentList(session.scan_scene, self.messages)
        self.report = ReportPanel(session.report, self.messages)
        self.behind = BehindPanel(session.presenter, self.messages)
        self.connection = ConnectionPanel(session.connection, session.host)
        for tab, widget in (
            (ui.chatTab, self.chat.widget),
            (ui.segmentsTab, self.segments.widget),
            (ui.reportTab, self.report.widget),
            (ui.behindTab, self.behind.widget),
            (ui.backendTab, _scrolled(self.connection.widget)),
        ):
            tab.layout().addWidget(widget)
        session.on_refresh = self.refresh
        session.on_views = self.chat.show_views
        session.on_model = self.chat.seen.set_mode
        session.on_trouble = self.messages.tell
        session.show_behind = self.show_behind
        session.show_backend = self.show_backend
        ui.tabs.setTabToolTip(_BEHIND, _("Behind the scenes: prompts, images and results to the letter"))
        ui.tabs.connect("currentChanged(int)", lambda _index: self.refresh())

    def refresh(self) -> None:
        """Show the session as it is now; panels that nobody sees wait until they are looked at."""
        rows = self._session.scan_scene.rows()
        self.chat.refresh(rows)
        self.segments.refresh(rows)
        shown = self._ui.tabs.currentIndex
        if shown == _REPORT:
            self.report.refresh()
        elif shown == _BEHIND:
            self.behind.refresh()
        self._name_tabs(sum(row.is_found for row in rows))
        self._ui.researchLabel.text = said(standing_notice(self._session.model))
        self._ui.modalityBox.setEnabled(self._session.scan_scene.node is not None)

    def show_behind(self, turn_id: str) -> None:
        """Show a turn from behind."""
        self._ui.tabs.setCurrentIndex(_BEHIND)
        self.behind.show(turn_id)

    def focus_question(self) -> None:
        """Bring the chat forward and let the person type."""
        self._ui.tabs.setCurrentIndex(_CHAT)
        self.chat.focus()

    def show_backend(self) -> None:
        """Bring the connection forward."""
        self._ui.tabs.setCurrentIndex(_BACKEND)

    def close(self) -> None:
        """Let go of keys, timers, views and the backend's news."""
        self.chat.close()
        self.report.close()
        self.connection.close()

    def _name_tabs(self, count: int) -> None:
        told = (count, self._session.connection.state.phase == "ready")
        if told != self._told:
            self._told = told
            self._ui.tabs.setTabText(_SEGMENTS, _("Segments") + (f" ({count})" if count else ""))
            self._ui.tabs.setTabText(_BACKEND, _("Backend") + ("" if told[1] else " ●"))


def _scrolled(widget: Any) -> Any:
    """A panel that is high at times in an area that scrolls, so that the other tabs fit a small window."""
    area = qt.QScrollArea()
    area.setFrameShape(qt.QFrame.NoFrame)
    area.setWidgetResizable(True)
    area.setSizePolicy(qt.QSizePolicy.Preferred, qt.QSizePolicy.Ignored)
    area.setWidget(widget)
    return area
