"""The draft report beside the images: composed from the conversation, edited by the person, exported."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from VILAM3SlicerLib.chat.report_composing import compose
from VILAM3SlicerLib.chat.report_exports import ReportHead, markdown
from VILAM3SlicerLib.chat.words import RESEARCH_USE
from VILAM3SlicerLib.desktop.files import ask_file_name, write_text
from VILAM3SlicerLib.desktop.message_bar import MessageBar
from VILAM3SlicerLib.desktop.ui_files import load_ui
from VILAM3SlicerLib.protocol.errors import OutOfSpace

if TYPE_CHECKING:
    from VILAM3SlicerLib.desktop.module_session import ModuleSession


class ReportPanel:
    """Follows the conversation until the person edits the text; from then on it is theirs."""

    def __init__(self, session: ModuleSession, messages: MessageBar) -> None:
        self.widget, self._ui = load_ui("ReportPanel")
        self._session = session
        self._composed = ""
        self._ui.composeButton.connect("clicked()", messages.guarded(self.compose))
        self._ui.exportTextButton.connect("clicked()", messages.guarded(self._export_text))
        self._ui.exportPdfButton.connect("clicked()", messages.guarded(self._export_pdf))
        self._ui.exportSceneButton.connect("clicked()", messages.guarded(self.put_into_scene))

    def refresh(self) -> None:
        """Compose again where the person changed nothing."""
        if not self._ui.reportEdit.document.modified and self._draft() != self._composed:
            self.compose()
        edited = self._ui.reportEdit.document.modified
        self._ui.reportHint.text = (
            _("Edited by you.") if edited else _("A draft that follows the conversation.")
        )

    def compose(self) -> None:
        """Write the draft from the conversation as it is now."""
        self._composed = self._draft()
        self._ui.reportEdit.setMarkdown(self._composed)
        self._ui.reportEdit.document.setModified(False)

    @property
    def text(self) -> str:
        """The report as it stands, with the notice of its use at its end whatever was deleted."""
        text = str(self._ui.reportEdit.document.toMarkdown())
        return text if RESEARCH_USE in text else f"{text}\n{RESEARCH_USE}\n"

    def write_pdf(self, path: Path) -> None:
        """Write the report as it stands as PDF.

        Raises:
            OutOfSpace: the file cannot be written.
        """
        document = qt.QTextDocument()
        document.setMarkdown(self.text)
        writer = qt.QPdfWriter(str(path))
        writer.setTitle(_("Draft report"))
        document.print(writer)
        del writer
        if not path.is_file() or not path.stat().st_size:
            raise OutOfSpace(f"'{path.name}' cannot be written.", "Choose another place.")

    def put_into_scene(self) -> Any:
        """Put the report as it stands into the scene; returns its text node."""
        name = slicer.mrmlScene.GenerateUniqueName(_("Draft report"))
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", name)
        node.SetText(self.text)
        return node

    def _draft(self) -> str:
        session = self._session
        head = ReportHead(date.today().isoformat(), session.scan_scene.facts, session.model)
        return markdown(compose(session.presenter.turns, session.model), head)

    def _export_text(self) -> None:
        path = ask_file_name(self.widget, _("Save the report"), "report.md", _("Text") + " (*.md *.txt)")
        if path is not None:
            write_text(path, self.text)

    def _export_pdf(self) -> None:
        path = ask_file_name(self.widget, _("Save the report"), "report.pdf", "PDF (*.pdf)")
        if path is not None:
            self.write_pdf(path)
