"""What is being done for the running question: what goes out, the expert at work, how far, how long still."""

from __future__ import annotations

from typing import Any

from VILAM3SlicerLib.chat.rows import ExpertRow, TurnRow
from VILAM3SlicerLib.desktop.translation import said, said_in_lines
from VILAM3SlicerLib.protocol.phrases import joined


class WorkBar:
    """A line with a progress bar under it; hidden while nothing runs.

    While nobody knows how far it is the bar stays empty and the seconds count: a bar that moves to and fro
    makes Slicer draw its whole window, views included, 25 times a second.

    Args:
        ui: holds ``workBar``, ``activityLabel``, ``elapsedLabel`` and ``workProgress``.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui

    def show(self, turn: TurnRow | None) -> None:
        """Show the running turn; None while there is none."""
        self._ui.workBar.setVisible(turn is not None)
        if turn is None:
            return
        expert = next((one for one in turn.experts if one.state == "running"), None)
        self._ui.activityLabel.text = said_in_lines(_activity(turn, expert))
        self._ui.elapsedLabel.text = said(_times(turn, expert))
        self._ui.workProgress.setValue(turn.percent or 0)


def _activity(turn: TurnRow, expert: ExpertRow | None) -> str:
    if expert is None:
        return turn.activity
    return joined(": ", (f"{expert.name} {expert.arguments}".strip(), expert.detail))


def _times(turn: TurnRow, expert: ExpertRow | None) -> str:
    if expert is None:
        return turn.elapsed
    return joined(", ", filter(None, (expert.elapsed, expert.expected)))
