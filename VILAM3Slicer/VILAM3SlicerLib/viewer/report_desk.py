"""The report of the scan that is talked about: drafted from the conversation, edited, exported, kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

from VILAM3SlicerLib.chat.presenter import Presenter
from VILAM3SlicerLib.chat.report_composing import asked_models, compose
from VILAM3SlicerLib.chat.report_document import (
    ReportDocument,
    SectionName,
    added,
    edited,
    followed,
    moved,
)
from VILAM3SlicerLib.chat.report_exports import ReportHead, html, markdown, plain_text
from VILAM3SlicerLib.protocol.codec import from_json, to_json
from VILAM3SlicerLib.protocol.errors import InvalidRequest, SceneError
from VILAM3SlicerLib.protocol.phrases import phrases
from VILAM3SlicerLib.scene.report_store import load_draft, put_report, save_draft
from VILAM3SlicerLib.viewer.scan_scene import ScanScene

_ = phrases(__name__)


class ReportDesk:
    """``refresh`` is to be called when the conversation or the scan changed.

    ``on_change`` is called when the report has changed.
    """

    def __init__(self, presenter: Presenter, scan: ScanScene, scene: Any) -> None:
        self.document = ReportDocument()
        self.on_change: Callable[[], None] = lambda: None
        self._presenter = presenter
        self._scan = scan
        self._scene = scene
        self._node: Any = None

    def refresh(self) -> None:
        """Follow the conversation; what the person wrote stays as it is."""
        before = self.document
        if self._scan.node is not self._node:
            self._node = self._scan.node
            before = self._kept()
        self._show(followed(before, compose(self._presenter.turns)))

    def edit(self, section: SectionName, place: int, text: str) -> None:
        """Change a sentence, which is the person's then; an empty text removes it.

        Raises:
            InvalidRequest: there is no such sentence any more.
        """
        self._check(section, place)
        self._write(edited(self.document, section, place, text))

    def add(self, section: SectionName, place: int, text: str) -> None:
        """Add a sentence of the person before a place; behind the last at any higher one."""
        self._write(added(self.document, section, max(place, 0), text))

    def move(self, section: SectionName, place: int, to: SectionName) -> None:
        """Move a sentence to the end of another section.

        Raises:
            InvalidRequest: there is no such sentence any more.
        """
        self._check(section, place)
        self._write(moved(self.document, section, place, to))

    def start_anew(self) -> None:
        """Drop all that the person did to the report."""
        self._write(compose(self._presenter.turns))

    def text(self) -> str:
        """The report as plain text."""
        return plain_text(self.document, self._head())

    def markdown(self) -> str:
        """The report as Markdown."""
        return markdown(self.document, self._head())

    def html(self) -> str:
        """The report as HTML, to be printed too."""
        return html(self.document, self._head())

    def into_scene(self) -> Any:
        """Put the report as text beside the scan; returns the text node.

        Raises:
            SceneError: there is no scan.
        """
        if self._scan.node is None:
            raise SceneError(_("There is no scan to put the report to."), _("Open the scan again."))
        return put_report(self._scene, self._scan.node, self.text())

    def _head(self) -> ReportHead:
        turns, facts = self._presenter.turns, self._scan.facts
        if facts is not None:
            asked = (turn.question.volume for turn in reversed(turns) if turn.question.volume)
            facts = replace(facts, content_hash=next(asked, ""))  # of the voxels that were talked about
        return ReportHead(date.today().isoformat(), facts, asked_models(turns))

    def _check(self, section: SectionName, place: int) -> None:
        if not 0 <= place < len(self.document.section(section).sentences):
            raise InvalidRequest(_("This sentence is no longer in the report."), _("Edit the present one."))

    def _kept(self) -> ReportDocument:
        draft = load_draft(self._scene, self._node) if self._node is not None else None
        try:
            return from_json(ReportDocument, draft) if draft is not None else ReportDocument()
        except InvalidRequest:  # of another version: the draft is made anew from the conversation
            return ReportDocument()

    def _write(self, report: ReportDocument) -> None:
        if self._scan.node is not None:
            save_draft(self._scene, self._scan.node, to_json(report) if report.is_touched else None)
        self._show(report)

    def _show(self, report: ReportDocument) -> None:
        if report != self.document:
            self.document = report
            self.on_change()
