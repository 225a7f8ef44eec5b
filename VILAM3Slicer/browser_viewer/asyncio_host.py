"""The event loop of the browser viewer, as the conversation sees it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from VILAM3SlicerLib.chat.interfaces import OnError
from VILAM3SlicerLib.connection.background import without_surprises
from VILAM3SlicerLib.protocol.errors import VilaM3Error

Value = TypeVar("Value")


class AsyncioHost:
    """Implements ``chat.interfaces.Host``; background work runs on the loop's thread pool."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def in_background(
        self, work: Callable[[], Value], on_done: Callable[[Value], None], on_error: OnError
    ) -> None:
        """Do ``work`` on a thread, then tell the outcome on the loop."""

        async def run() -> None:
            try:
                value = await asyncio.to_thread(without_surprises(work))
            except VilaM3Error as error:
                on_error(error)
            else:
                on_done(value)

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do ``action`` on the loop after a while."""
        asyncio.get_running_loop().call_later(seconds, action)

    def now(self) -> float:
        """Seconds on the monotonic clock."""
        return time.monotonic()
