"""Behind the scenes: prompts, pictures and results of a turn, to the letter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from VILAM3SlicerLib.chat.behind import behind_row
from VILAM3SlicerLib.chat.presenter import Presenter
from VILAM3SlicerLib.chat.transcript import compose_transcript
from VILAM3SlicerLib.desktop.behind_html import behind_html
from VILAM3SlicerLib.desktop.files import ask_file_name, write_text
from VILAM3SlicerLib.desktop.message_bar import MessageBar
from VILAM3SlicerLib.desktop.transcript_view import picture
from VILAM3SlicerLib.desktop.translation import said
from VILAM3SlicerLib.desktop.ui_files import load_ui


class BehindPanel:
    """One turn of the conversation, which the person chooses."""

    def __init__(self, presenter: Presenter, messages: MessageBar) -> None:
        self.widget, self._ui = load_ui("BehindPanel")
        self._presenter = presenter
        self._offered: list[str] = []
        self._shown: Any = None
        self._ui.turnBox.connect("activated(int)", lambda _index: self.refresh())
        self._ui.saveButton.connect("clicked()", messages.guarded(self._save))

    def show(self, turn_id: str) -> None:
        """Show this turn."""
        self.refresh()
        self._ui.turnBox.setCurrentIndex(self._ui.turnBox.findData(turn_id))
        self.refresh()

    def refresh(self) -> None:
        """Show the chosen turn as it is now."""
        self._offer_turns()
        turn = self._presenter.turn(self._ui.turnBox.currentData or "")
        row = behind_row(turn, self._presenter.shelf) if turn is not None else None
        if row == self._shown:
            return
        self._shown = row
        if row is None:
            self._ui.behindBrowser.clear()
            return
        html, pictures = behind_html(row, said)
        document = self._ui.behindBrowser.document
        self._ui.behindBrowser.clear()
        for name, png in pictures.items():
            document.addResource(qt.QTextDocument.ImageResource, qt.QUrl(name), picture(png))
        self._ui.behindBrowser.setHtml(html)

    def _offer_turns(self) -> None:
        turns = self._presenter.turns
        offered = [turn.turn_id for turn in turns]
        self._ui.saveButton.setEnabled(bool(turns))
        if offered == self._offered:
            return
        self._offered = offered
        chosen = self._ui.turnBox.currentData
        self._ui.turnBox.clear()
        for number, turn in enumerate(turns, 1):
            words = " ".join(turn.question.text.split())
            self._ui.turnBox.addItem(f"{number}. {words[:80]}", turn.turn_id)
        kept = self._ui.turnBox.findData(chosen)
        self._ui.turnBox.setCurrentIndex(kept if kept >= 0 else len(turns) - 1)

    def _save(self) -> None:
        path = ask_file_name(self.widget, _("Save the conversation"), "conversation.json", "JSON (*.json)")
        if path is not None:
            self.save_transcript(path)

    def save_transcript(self, path: Path) -> None:
        """Write the whole conversation with all that the model was given, images included, as JSON.

        Raises:
            OutOfSpace: the file cannot be written.
        """
        shelf = self._presenter.shelf
        transcript = compose_transcript(self._presenter.turns, shelf.data_url)
        write_text(path, json.dumps(transcript, indent=2, ensure_ascii=False))
