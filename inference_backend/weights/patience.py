"""Trying again what may go well in a moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from inference_backend.weights.errors import DownloadError
from inference_backend.weights.progress import Tracker

Result = TypeVar("Result")


@dataclass(frozen=True)
class Patience:
    """How often something is tried in a row without getting anywhere, and the first wait between (s).

    Each wait is twice the one before; a server that names a time gets it, up to ``longest_wait``.
    """

    tries: int = 5
    first_wait: float = 1.0
    longest_wait: float = 60.0

    def after(self, error: DownloadError, failures: int) -> float:
        """Seconds to wait after so many failures in a row. Raises ``error`` where that is no use."""
        if not error.passing or failures >= self.tries:
            raise error
        asked = self.first_wait * 2 ** (failures - 1) if error.wait_s is None else error.wait_s
        return min(asked, self.longest_wait)


def patiently(action: Callable[[], Result], tracker: Tracker, patience: Patience) -> Result:
    """What ``action`` returns, tried again after failures that may pass."""
    failures = 0
    while True:
        try:
            return action()
        except DownloadError as error:
            failures += 1
            tracker.wait(patience.after(error, failures))
