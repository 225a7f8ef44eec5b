"""The progress display: one live line on a terminal, a line now and then in a log."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import TextIO

LOG_INTERVAL_S = 20.0
TERMINAL_INTERVAL_S = 0.2


def duration(seconds: float) -> str:
    """``42 s`` or ``3 min 05 s``."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"


class Progress:
    """Says which step runs (n of m), what it is doing and for how long."""

    def __init__(self, total: int, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._stream = stream
        self._clock = clock
        self._live = stream.isatty()
        self._title = ""
        self._number = 0
        self._began = 0.0
        self._shown_at = 0.0
        self._detail = ""

    def begin(self, number: int, title: str) -> None:
        """Announce step ``number`` of the total."""
        self._number, self._title, self._detail = number, title, ""
        self._began = self._shown_at = self._clock()
        self._show(f"{self._head} ...", lasting=not self._live)

    def update(self, detail: str = "") -> None:
        """Tell what the step is doing; called without a detail it only keeps the clock going."""
        self._detail = detail or self._detail
        now = self._clock()
        if now - self._shown_at >= (TERMINAL_INTERVAL_S if self._live else LOG_INTERVAL_S):
            self._shown_at = now
            line = f"{self._head}  {duration(now - self._began)}  {self._detail}".rstrip()
            self._show(line, lasting=not self._live)

    def note(self, text: str) -> None:
        """Print a line that stays."""
        self._show(f"      {text}", lasting=True)

    def finish(self) -> None:
        """The step is done."""
        self._show(f"{self._head}: done in {duration(self._clock() - self._began)}", lasting=True)

    def fail(self) -> None:
        """The step has failed; the error itself is printed by whoever catches it."""
        self._show(f"{self._head}: failed after {duration(self._clock() - self._began)}", lasting=True)

    @property
    def _head(self) -> str:
        return f"[{self._number}/{self._total}] {self._title}"

    def _show(self, line: str, lasting: bool) -> None:
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            text = line if lasting else line[:width]
            self._stream.write(f"\r{text.ljust(width)}" + ("\n" if lasting else ""))
        else:
            self._stream.write(line + "\n")
        self._stream.flush()
