"""What happened in one turn, to be read while it happens and again afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from VILAM3SlicerLib.protocol.events import Event, Payload


class TurnLog:
    """The events of one turn, from the first on, for any number of readers.

    A reader is attentive while it waits for news. One that is busy sending to somebody who does not take it
    is not, so a stalled connection counts as nobody.
    """

    def __init__(self, turn_id: str) -> None:
        self.turn_id = turn_id
        self.created = int(time.time())
        self.ended_at: float | None = None
        self.events: list[Event] = []
        self._news = asyncio.Event()
        self._attentive = 0
        self._unread_since = time.monotonic()

    @property
    def is_ended(self) -> bool:
        return self.ended_at is not None

    @property
    def unread_for(self) -> float:
        """Seconds since the last reader paid attention."""
        return 0.0 if self._attentive else time.monotonic() - self._unread_since

    def add(self, payload: Payload) -> None:
        """Append the next event; what comes after a final one is dropped."""
        if self.is_ended:
            return
        event = Event(self.turn_id, len(self.events) + 1, payload)
        self.events.append(event)
        if event.is_final:
            self.ended_at = time.monotonic()
        self._news.set()
        self._news = asyncio.Event()

    async def read(self, after: int = 0, silence: float = 5.0) -> AsyncIterator[Event | None]:
        """Events above the number ``after`` until the turn ends; None after ``silence`` seconds."""
        position = after
        while True:
            while position < len(self.events):
                yield self.events[position]
                position += 1
            if self.is_ended:
                return
            if not await self._wait(silence):
                yield None

    async def _wait(self, seconds: float) -> bool:
        with self._paying_attention():
            try:
                await asyncio.wait_for(self._news.wait(), seconds)
            except TimeoutError:
                return False
        return True

    @contextmanager
    def _paying_attention(self) -> Iterator[None]:
        self._attentive += 1
        try:
            yield
        finally:
            self._attentive -= 1
            self._unread_since = time.monotonic()
