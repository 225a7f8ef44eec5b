"""Noticing that a child process hangs: it neither gives anything nor asks whether to go on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class SilenceLimits:
    """How long a process may be without a sign of life before it counts as hung; times in seconds.

    Loading gives no sign and may have to fetch 26 GB from a network's disk and to compile. A job gives one
    whenever the worker emits something or asks whether it is cancelled.
    """

    working: float = 300.0
    loading: float = 1800.0


class Watched(Protocol):
    """What the watchdog looks at."""

    @property
    def signs_of_life(self) -> int:
        """How many there have been."""

    @property
    def is_loading(self) -> bool: ...

    @property
    def is_working(self) -> bool: ...


async def until_hung(child: Watched, limits: SilenceLimits) -> float:
    """Wait until ``child`` has been silent for too long; returns the seconds that it was given.

    Time is counted in short naps, so that neither a machine that slept nor a busy event loop accuses anybody.
    """
    nap = min(1.0, limits.working / 10, limits.loading / 10)
    seen, silent = child.signs_of_life, 0.0
    while True:
        await asyncio.sleep(nap)
        is_awaited = child.is_loading or child.is_working
        silent = silent + nap if is_awaited and child.signs_of_life == seen else 0.0
        seen = child.signs_of_life
        limit = limits.loading if child.is_loading else limits.working
        if silent >= limit:
            return limit
