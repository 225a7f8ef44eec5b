"""The progress display for a program that shows it its own way: one JSON object a line."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any, TextIO

from inference_backend.installation.progress import Progress

INTERVAL_S = 0.5
_PART = re.compile(r"\((\d+) of (\d+) MB\)|^(\d+)%")


class MachineProgress(Progress):
    """Writes lines of kind ``step`` (number, total, title, state, seconds, detail, fraction) and ``note``."""

    def __init__(self, total: int, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(total, stream, clock)
        self._lines = stream

    def begin(self, number: int, title: str) -> None:
        self._number, self._title, self._detail = number, title, ""
        self._began = self._shown_at = self._clock()
        self._step("running")

    def update(self, detail: str = "") -> None:
        self._detail = detail or self._detail
        if self._clock() - self._shown_at >= INTERVAL_S:
            self._shown_at = self._clock()
            self._step("running")

    def note(self, text: str) -> None:
        write_line(self._lines, kind="note", text=text)

    def finish(self) -> None:
        self._detail = ""
        self._step("done")

    def fail(self) -> None:
        self._step("failed")

    def _step(self, state: str) -> None:
        write_line(
            self._lines,
            kind="step",
            number=self._number,
            total=self._total,
            title=self._title,
            state=state,
            seconds=round(self._clock() - self._began, 1),
            detail=self._detail,
            fraction=_fraction(self._detail),
        )


def write_line(stream: TextIO, **values: Any) -> None:
    """One line for the program that reads us."""
    stream.write(json.dumps(values) + "\n")
    stream.flush()


def _fraction(detail: str) -> float | None:
    """How much of it is done, where the text says so."""
    match = _PART.search(detail)
    if match is None:
        return None
    done, whole, percent = match.groups()
    return int(percent) / 100 if percent else min(1.0, int(done) / max(1, int(whole)))
