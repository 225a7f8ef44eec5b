"""Running turns: one at a time on the model, apart from the connections that asked for them.

Everything here happens on the event loop, so nothing is locked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path

from inference_backend.conversation.loop import Turn
from inference_backend.service.backend import Converse
from inference_backend.service.errors import internal_error
from inference_backend.service.fair_queue import FairQueue
from inference_backend.service.settings import Clocks, Limits
from inference_backend.service.turn_log import TurnLog
from VILAM3SlicerLib.protocol.errors import Busy, Cancelled, InvalidRequest, NotFound, VilaM3Error
from VILAM3SlicerLib.protocol.events import Failed, Payload, Queued, Stopped

Publish = Callable[[Payload], None]
GetReady = Callable[[Publish], Awaitable[None]]
"""Waits until a turn can run; tells the turn's reader what it waits for."""

UseVolume = Callable[[str], AbstractContextManager[Path]]
"""Keeps a volume while a turn uses it."""


class _Entry:
    """A turn that waits, runs or has ended."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.log = TurnLog(turn.context.turn_id)
        self.position = 0
        self.task: asyncio.Task[None] | None = None
        self.stop_reason = "Stopped."


class Turns:
    """All turns that this service knows."""

    def __init__(
        self, converse: Converse, get_ready: GetReady, use_volume: UseVolume, limits: Limits, clocks: Clocks
    ) -> None:
        self._converse = converse
        self._get_ready = get_ready
        self._use_volume = use_volume
        self._limits = limits
        self._clocks = clocks
        self._entries: dict[str, _Entry] = {}
        self._queue: FairQueue[_Entry] = FairQueue()
        self._running: _Entry | None = None

    def begin(self, turn: Turn) -> TurnLog:
        """Put a turn into the queue of its session.

        Raises:
            Busy: too many wait already.
            InvalidRequest: its id was used before.
        """
        self._forget_old()
        if turn.context.turn_id in self._entries:
            raise InvalidRequest(
                "A turn with this id exists already.", "Read its events, or choose another id.", "turn_exists"
            )
        if len(self._queue) >= self._limits.waiting_turns:
            raise Busy(
                f"The backend is busy: {len(self._queue)} questions wait already.", "Ask again in a moment."
            )
        entry = self._entries[turn.context.turn_id] = _Entry(turn)
        self._queue.push(turn.context.session, entry)
        self._go_on()
        return entry.log

    def log(self, turn_id: str) -> TurnLog:
        """The events of a turn. Raises NotFound."""
        return self._entry(turn_id).log

    def cancel(self, turn_id: str, reason: str = "Stopped.") -> None:
        """End a turn; one that has ended already stays as it is. Raises NotFound."""
        self._stop(self._entry(turn_id), reason)

    async def watch(self) -> None:
        """Cancel turns that nobody reads, for as long as this runs."""
        while True:
            await asyncio.sleep(min(1.0, self._clocks.unread / 4))
            for entry in list(self._entries.values()):
                if entry.log.unread_for > self._clocks.unread:
                    self._stop(entry, f"Nobody read the answer for {self._clocks.unread:.0f} s.")

    async def close(self) -> None:
        """End all turns and wait until they have ended."""
        for entry in list(self._entries.values()):
            self._stop(entry, "The backend was ended.")
        tasks = [entry.task for entry in self._entries.values() if entry.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)

    def _entry(self, turn_id: str) -> _Entry:
        if turn_id not in self._entries:
            raise NotFound("This backend knows no such turn (any more).", "Ask again.", "turn_unknown")
        return self._entries[turn_id]

    def _stop(self, entry: _Entry, reason: str) -> None:
        if entry.log.is_ended:
            return
        entry.stop_reason = reason
        if self._queue.remove(entry):
            entry.log.add(Stopped(reason))
            self._tell_positions()
        elif entry.task is not None:
            entry.task.cancel()

    def _go_on(self) -> None:
        """Run the next turn if none runs."""
        if self._running is None and len(self._queue):
            entry = self._running = self._queue.pop()
            entry.task = asyncio.create_task(self._run(entry))
            entry.task.add_done_callback(self._finished)
        self._tell_positions()

    def _finished(self, _task: asyncio.Task[None]) -> None:
        entry, self._running = self._running, None
        if entry is not None:
            entry.log.add(Stopped(entry.stop_reason))  # where it was cancelled before its first step
        self._go_on()

    def _tell_positions(self) -> None:
        for position, entry in enumerate(self._queue.order(), start=1):
            if entry.position != position:
                entry.position = position
                entry.log.add(Queued(position))

    async def _run(self, entry: _Entry) -> None:
        try:
            await self._converse_to_the_end(entry)
        except asyncio.CancelledError:
            entry.log.add(Stopped(entry.stop_reason))
        except Cancelled as error:
            entry.log.add(Stopped(error.message))
        except VilaM3Error as error:
            entry.log.add(Failed(error.body))
        except Exception as error:  # the edge of HTTP: the reader of the turn is told, the service lives on
            entry.log.add(Failed(internal_error(error)))

    async def _converse_to_the_end(self, entry: _Entry) -> None:
        context = entry.turn.context
        with ExitStack() as in_use:
            for volume in {context.volume, *(sequence.volume for sequence in context.sequences)}:
                in_use.enter_context(self._use_volume(volume) if volume else nullcontext())
            await self._get_ready(entry.log.add)
            async for payload in self._converse(entry.turn):
                entry.log.add(payload)

    def _forget_old(self) -> None:
        now = time.monotonic()
        ended = [entry for entry in self._entries.values() if entry.log.ended_at is not None]
        surplus = len(self._entries) - self._limits.kept_turns + 1
        for index, entry in enumerate(ended):
            if index < surplus or now - (entry.log.ended_at or now) > self._clocks.keep_ended:
                del self._entries[entry.log.turn_id]
