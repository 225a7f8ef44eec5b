"""Slicer's event loop, as the conversation sees it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import qt

from VILAM3SlicerLib.chat.interfaces import OnError
from VILAM3SlicerLib.connection.background import BackgroundWork

Value = TypeVar("Value")

TICK_MS = 10
"""Python threads stand still while Slicer's event loop idles in C++; a Python timer of this interval lets
them go on."""


class QtHost:
    """Implements ``chat.interfaces.Host``.

    Background work runs on a Python thread; it may touch neither Qt, VTK nor MRML.
    """

    def __init__(self) -> None:
        self._timers: set[Any] = set()
        self._work: list[BackgroundWork[Any]] = []
        self._ticking = qt.QTimer()
        self._ticking.setInterval(TICK_MS)
        self._ticking.connect("timeout()", self._tick)
        self._closed = False

    def in_background(
        self, work: Callable[[], Value], on_done: Callable[[Value], None], on_error: OnError
    ) -> None:
        """Do ``work`` on a thread, then tell the outcome on the user interface's own."""
        self._work.append(BackgroundWork(work, on_done, on_error))
        self._ticking.start()

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do ``action`` on the user interface's thread after a while."""
        if self._closed:
            return
        timer = qt.QTimer()

        def fire() -> None:
            self._timers.discard(timer)
            timer.deleteLater()  # its signal holds this function, which holds the timer
            if not self._closed:
                action()

        timer.setSingleShot(True)
        timer.connect("timeout()", fire)
        self._timers.add(timer)
        timer.start(round(1000 * seconds))

    def now(self) -> float:
        """Seconds on the monotonic clock."""
        return time.monotonic()

    def close(self) -> None:
        """Nothing that was put off is done any more."""
        self._closed = True
        for timer in self._timers:
            timer.stop()
            timer.deleteLater()
        self._timers.clear()
        self._work.clear()
        self._ticking.stop()

    def _tick(self) -> None:
        time.sleep(0.001)  # gives the interpreter to the threads
        ended = [one for one in self._work if one.has_ended]
        self._work = [one for one in self._work if not one.has_ended]
        if not self._work:
            self._ticking.stop()
        for one in ended:
            one.tell()
