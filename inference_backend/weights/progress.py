"""How far a download is, how fast, and how long it still takes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from VILAM3SlicerLib.protocol.errors import Cancelled
from VILAM3SlicerLib.protocol.weights import DownloadProgress

WINDOW_S = 10.0
"""The speed is that of the last seconds, so that it follows the network and not the whole night."""

Listen = Callable[[DownloadProgress], None]


class Tracker:
    """Counts bytes and passes on what was counted; may be cancelled from another thread."""

    def __init__(
        self, listen: Listen = lambda progress: None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._listen = listen
        self._clock = clock
        self._cancelled = threading.Event()
        self._sizes: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._file = ""
        self._seen: deque[tuple[float, int]] = deque()

    def cancel(self) -> None:
        """End the download at the next piece."""
        self._cancelled.set()

    def check(self) -> None:
        """Raises Cancelled once it was cancelled."""
        if self._cancelled.is_set():
            raise Cancelled("The download was stopped.", "Start it again: it goes on from here.")

    def wait(self, seconds: float) -> None:
        """Wait before another try. Raises Cancelled."""
        self._cancelled.wait(seconds)
        self.check()

    def expect(self, sizes: dict[str, int]) -> None:
        """Say how large each file is, in bytes."""
        self._sizes = dict(sizes)

    def at(self, file: str, position: int) -> None:
        """``position`` bytes of ``file`` are here; may go back when it has to start again."""
        self.check()
        if file != self._file or position < self._done.get(file, 0):
            self._seen.clear()
        self._file, self._done[file] = file, position
        self._listen(self._progress())

    def _progress(self) -> DownloadProgress:
        done, total = sum(self._done.values()), sum(self._sizes.values())
        speed = self._speed(done)
        left = (total - done) / speed if speed > 0 and total >= done else None
        return DownloadProgress(self._file, done, total, speed, left)

    def _speed(self, done: int) -> float:
        now = self._clock()
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()
        began, before = self._seen[0]
        return (done - before) / (now - began) if now > began else 0.0
