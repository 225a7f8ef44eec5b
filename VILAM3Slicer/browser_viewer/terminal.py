"""A conversation on the terminal: the text as it streams and what the expert is doing."""

from __future__ import annotations

import sys
from typing import TextIO

from VILAM3SlicerLib.chat.turn import Turn


class TerminalView:
    """Prints what is new in a turn each time it is shown."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out if out is not None else sys.stdout
        self._printed: dict[int, int] = {}
        self._activity = ""
        self._line_open = False

    def say(self, text: str) -> None:
        """A line of our own."""
        self._end_line()
        print(text, file=self._out, flush=True)

    def show(self, turn: Turn) -> None:
        """Print what has come since the last call."""
        self._show_activity(turn)
        for reply in turn.replies:
            known = self._printed.get(reply.step, 0)
            if len(reply.text) > known:
                if known == 0:
                    self._end_line()
                    self._out.write("Model: ")
                self._out.write(reply.text[known:])
                self._out.flush()
                self._printed[reply.step] = len(reply.text)
                self._line_open = True

    def finish(self, turn: Turn, now: float) -> None:
        """How the turn ended."""
        self._end_line()
        for notice in turn.notices:
            self.say(f"Notice: {notice.message}")
        if turn.error is not None:
            self.say(f"Failed: {turn.error.message}")
            self.say(f"  {turn.error.hint}" if turn.error.hint else "")
        else:
            self.say(f"({turn.state} after {turn.seconds(now):.1f} s)")

    def _show_activity(self, turn: Turn) -> None:
        run = turn.experts[-1] if turn.experts and turn.experts[-1].is_running else None
        text = f"{run.call.expert} {run.fraction:4.0%} {run.message}" if run else turn.activity
        if text and text not in (self._activity, "Answering"):
            self.say(f"  [{text}]")
        self._activity = text

    def _end_line(self) -> None:
        if self._line_open:
            print(file=self._out, flush=True)
            self._line_open = False
