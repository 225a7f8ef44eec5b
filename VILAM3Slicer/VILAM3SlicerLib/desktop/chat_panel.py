"""The chat: what was said, what the model will see, the box for the question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from slicer.i18n import tr as _

from VILAM3SlicerLib.chat.examples import example_questions
from VILAM3SlicerLib.chat.rows import SegmentRow
from VILAM3SlicerLib.chat.turn_rows import TurnRows
from VILAM3SlicerLib.desktop.colour_watch import ColourWatch
from VILAM3SlicerLib.desktop.decision_bar import DecisionBar
from VILAM3SlicerLib.desktop.marks_row import MarksRow
from VILAM3SlicerLib.desktop.message_bar import MessageBar
from VILAM3SlicerLib.desktop.question_box import QuestionBox
from VILAM3SlicerLib.desktop.seen_strip import SeenStrip
from VILAM3SlicerLib.desktop.sequence_table import SequenceTable
from VILAM3SlicerLib.desktop.threed_view import capture_threed_view
from VILAM3SlicerLib.desktop.transcript_html import welcome_html
from VILAM3SlicerLib.desktop.transcript_view import TranscriptView, look_of
from VILAM3SlicerLib.desktop.ui_files import load_ui
from VILAM3SlicerLib.desktop.work_bar import WorkBar
from VILAM3SlicerLib.scene.views import slice_views

if TYPE_CHECKING:
    from VILAM3SlicerLib.desktop.module_session import ModuleSession

_SLICES, _EVERYTHING = "all slice views", "all views and 3D"
"""Choices beside the names of the slice views; no view has such a name."""


class ChatPanel:
    """One conversation, as far as the presenter lets the person go on with it."""

    def __init__(self, session: ModuleSession, messages: MessageBar) -> None:
        self.widget, self._ui = load_ui("ChatPanel")
        self._session = session
        self._messages = messages
        self._rows = TurnRows()
        self._ask_safely = messages.guarded(self._ask)
        self._transcript = TranscriptView(self._ui.transcriptBrowser, messages.guarded(self.follow))
        self._colours = ColourWatch(self._ui.transcriptBrowser, session.plan_refresh)
        self._work = WorkBar(self._ui)
        self.seen = SeenStrip(session.scan_scene.capture, self._choose_view)
        self._sequences = SequenceTable(session.scan_scene, self.seen.soon)
        marks = session.scan_scene.question_marks
        self._marks = MarksRow(marks, lambda: session.scan_scene.marks, self.seen.soon)
        self._decision = DecisionBar(session.presenter, messages)
        self._box = QuestionBox(self._ui.questionEdit, self._send, self._questions)
        self._ui.decisionArea.layout().addWidget(self._decision.widget)
        self._ui.seenStrip.layout().addWidget(self.seen.widget)
        self._ui.sequencesArea.layout().addWidget(self._sequences.widget)
        self.seen.add_beside(self._marks.widget)
        self._ui.sendButton.connect("clicked()", self._send)
        self._ui.stopButton.connect("clicked()", messages.guarded(self._stop))
        self._ui.undoButton.connect("clicked()", messages.guarded(self._undo))
        self.refresh(())

    def refresh(self, segments: Sequence[SegmentRow]) -> None:
        """Show the conversation as it is now, with links to these segments."""
        presenter, now = self._session.presenter, self._session.host.now()
        rows = self._rows.of(presenter.turns, segments, now)
        if rows:
            if not self._transcript.show(rows):
                self._session.plan_refresh()
        else:
            self._transcript.show_welcome(self._welcome())
        self._work.show(rows[-1] if rows and rows[-1].running else None)
        self._decision.refresh()
        self._sequences.refresh()
        allowed = presenter.allowed
        self._ui.sendButton.setEnabled(allowed.ask)
        self._ui.stopButton.setEnabled(allowed.stop)
        self._ui.undoButton.setEnabled(allowed.undo)
        self._marks.set_enabled(self._session.scan_scene.node is not None)

    def show_views(self) -> None:
        """Offer the slice views that there are now, and picture them when they rest."""
        views = tuple(
            (view.name, f"{view.name} ({view.node.GetOrientation()})")
            for view in slice_views(self._session.app_logic)
        )
        further = ((_SLICES, _("All slice views")), (_EVERYTHING, _("All views and 3D")))
        self.seen.set_views((*views, *further), self._asked())
        self.seen.soon()

    def focus(self) -> None:
        """Let the person type a question."""
        self._box.focus()

    def close(self) -> None:
        """Stop looking at keys and views."""
        self.seen.close()
        self._box.close()
        self._colours.close()

    def ask(self, text: str) -> None:
        """Ask as if the person had typed it; what is being typed stays for the next question."""
        typed, self._box.text = self._box.text, text
        self._send()
        if not self._box.text:
            self._box.text = typed

    def _send(self) -> None:
        if self._session.presenter.allowed.ask:
            self._ask_safely()

    def _ask(self) -> None:
        modality = self._session.scan_scene.modality
        self._session.presenter.ask(self._box.text, modality, self.seen.mode)
        self._box.text = ""
        self._box.focus()

    def _stop(self) -> None:
        self._session.presenter.stop()
        self._box.focus()

    def _undo(self) -> None:
        turn = self._session.presenter.undo()
        if turn is not None and not self._box.text:
            self._box.text = turn.question.text
        self._box.focus()

    def _questions(self) -> list[str]:
        return [turn.question.text for turn in self._session.presenter.turns]

    def _choose_view(self, _mode: str, view: str) -> None:
        companions = self._session.scan_scene.companions
        companions.has_slices = view in (_SLICES, _EVERYTHING)
        companions.threed = capture_threed_view if view == _EVERYTHING else None
        if not companions.has_slices:
            self._session.ask_about(view)

    def _asked(self) -> str:
        companions = self._session.scan_scene.companions
        if companions.threed is not None:
            return _EVERYTHING
        return _SLICES if companions.has_slices else self._session.scan_scene.asked_view

    def follow(self, what: str, value: str) -> None:
        """Do what a link of the transcript is for."""
        if what == "segment":
            self._session.go_to_name(value)
        elif what == "behind":
            self._session.show_behind(value)
        elif what == "ask":
            self.ask(value)
        elif what == "backend":
            self._session.show_backend()
        elif what == "heat":
            self._session.finding.toggle(*value.split("/", 1))
        elif what == "again":
            modality = self._session.scan_scene.modality
            self._session.presenter.ask_again(value, modality, self.seen.mode)

    def _welcome(self) -> str:
        scan_scene, state = self._session.scan_scene, self._session.connection.state
        look = look_of(self._ui.transcriptBrowser.palette)
        is_ready = state.phase == "ready"
        offers = (
            [] if is_ready else [("backend", "", _("No backend is ready: install, start or connect one"))]
        )
        if scan_scene.node is None:
            hint = _("Load a scan, for example a sample of the module Sample Data, and ask about it here.")
            return welcome_html(_("Open a scan to begin"), hint, offers, look)
        hint = _("The answer comes from a model that may call an expert to segment the whole scan.")
        experts = state.status.experts if state.status is not None else ()
        questions = example_questions(scan_scene.modality, experts) if is_ready else ()
        offers += [("ask", text, text) for text in questions]
        return welcome_html(_("Ask about this scan"), hint, offers, look)
