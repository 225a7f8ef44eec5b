"""What only the person can decide, asked above the question instead of in a dialog."""

from __future__ import annotations

from typing import Any

import qt

from VILAM3SlicerLib.chat.decision import Choice, Decision
from VILAM3SlicerLib.chat.presenter import Presenter
from VILAM3SlicerLib.desktop.message_bar import MessageBar
from VILAM3SlicerLib.desktop.translation import said, said_in_lines


class DecisionBar:
    """Shows the oldest open decision with a button for each choice; hidden while there is none."""

    def __init__(self, presenter: Presenter, messages: MessageBar) -> None:
        self._presenter = presenter
        self._messages = messages
        self._shown: Decision | None = None
        self.widget = qt.QFrame()
        self.widget.setFrameShape(qt.QFrame.StyledPanel)
        layout = qt.QVBoxLayout(self.widget)
        self._question = qt.QLabel()
        self._question.setTextFormat(qt.Qt.PlainText)
        self._question.setWordWrap(True)
        layout.addWidget(self._question)
        self._choices = qt.QHBoxLayout()
        layout.addLayout(self._choices)
        self.widget.setVisible(False)

    def refresh(self) -> None:
        """Show what is to be decided now."""
        decision = next(iter(self._presenter.decisions), None)
        if decision is self._shown:
            return
        self._shown = decision
        self._clear()
        self.widget.setVisible(decision is not None)
        if decision is not None:
            self._question.text = said_in_lines(decision.question)
            for choice in decision.choices:
                self._choices.addWidget(self._button(decision, choice))
            self._choices.addStretch(1)

    def _button(self, decision: Decision, choice: Choice) -> Any:
        button = qt.QPushButton(said(choice.text))
        act = self._messages.guarded(lambda: self._presenter.decide(decision, choice))
        button.connect("clicked()", act)
        return button

    def _clear(self) -> None:
        while self._choices.count():
            widget = self._choices.takeAt(0).widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
