"""The rows of a long conversation, at hand many times a second."""

from __future__ import annotations

from collections.abc import Sequence

from VILAM3SlicerLib.chat.rows import SegmentRow, TurnRow, turn_row
from VILAM3SlicerLib.chat.turn import Turn


class TurnRows:
    """Makes rows; that of a turn which has ended is made once for the segments on the screen."""

    def __init__(self) -> None:
        self._segments: tuple[SegmentRow, ...] = ()
        self._made: dict[str, tuple[Turn, TurnRow]] = {}

    def of(self, turns: Sequence[Turn], segments: Sequence[SegmentRow], now: float) -> list[TurnRow]:
        """See ``rows.turn_row``."""
        if tuple(segments) != self._segments:
            self._segments, self._made = tuple(segments), {}
        rows = [self._row(turn, now) for turn in turns]
        self._made = {turn.turn_id: (turn, row) for turn, row in zip(turns, rows, strict=True)}
        return rows

    def _row(self, turn: Turn, now: float) -> TurnRow:
        made = self._made.get(turn.turn_id)
        if made is not None and made[0] is turn and not turn.is_running:
            return made[1]
        return turn_row(turn, self._segments, now)
