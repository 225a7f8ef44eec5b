"""Work on the scene in pieces, one job after the other, so that text streams on between two pieces."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

from VILAM3SlicerLib.chat.interfaces import Host
from VILAM3SlicerLib.protocol.errors import VilaM3Error


@dataclass(frozen=True, eq=False)
class _Job:
    steps: Iterator[None]
    on_end: Callable[[Any], None]
    on_error: Callable[[VilaM3Error], None]
    is_wanted: Callable[[], bool]


class Stepping:
    """Runs jobs in the order in which they came."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._jobs: deque[_Job] = deque()
        self._is_planned = False

    @property
    def is_running(self) -> bool:
        """Whether a job is under way or waits."""
        return bool(self._jobs)

    def run(
        self,
        steps: Iterator[None],
        on_end: Callable[[Any], None],
        on_error: Callable[[VilaM3Error], None],
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """Do a job; ``on_end`` gets what its generator returns, None where it was given up half done.

        Args:
            is_wanted: asked before each piece; once it says no, the job is given up.
        """
        self._jobs.append(_Job(steps, on_end, on_error, is_wanted))
        if not self._is_planned:
            self._is_planned = True
            self._go_on()

    def finish(self) -> None:
        """Do the rest of all jobs at once."""
        while self._jobs:
            self._step()

    def _go_on(self) -> None:
        if self._jobs:
            self._step()
        self._is_planned = bool(self._jobs)
        if self._is_planned:
            self._host.later(0.0, self._go_on)

    def _step(self) -> None:
        """Do the next piece of the first job."""
        job = self._jobs[0]
        outcome = None
        try:
            if job.is_wanted():
                next(job.steps)
                return
            _close(job.steps)
        except StopIteration as end:
            outcome = end.value
        except VilaM3Error as error:
            self._jobs.popleft()
            job.on_error(error)
            return
        self._jobs.popleft()
        job.on_end(outcome)


def _close(steps: Iterator[None]) -> None:
    if isinstance(steps, Generator):
        steps.close()
