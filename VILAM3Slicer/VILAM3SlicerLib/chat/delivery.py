"""Reading a turn's events to the end, over broken connections."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from VILAM3SlicerLib.chat.interfaces import Host, OnError, Transport
from VILAM3SlicerLib.protocol.errors import ConnectionLost, VilaM3Error
from VILAM3SlicerLib.protocol.events import Event
from VILAM3SlicerLib.protocol.phrases import phrases

_ = phrases(__name__)

RETRY_AFTER = (0.3, 1.0, 2.0, 4.0)
"""Seconds before each new try; a turn lives unread for 30 s."""


class Delivery:
    """Delivers one turn's events in order, each once, and tells when no more will come.

    A stream that breaks is read again from the event after the last one. ``on_failed`` is called where that
    does not help; after the final event nothing is called any more.
    """

    def __init__(
        self,
        transport: Transport,
        host: Host,
        turn_id: str,
        on_event: Callable[[Event], None],
        on_failed: OnError,
    ) -> None:
        self._transport = transport
        self._host = host
        self._turn_id = turn_id
        self._on_event = on_event
        self._on_failed = on_failed
        self._sequence = 0
        self._tries = 0
        self._ended = False

    def start(self, request: Mapping[str, Any]) -> None:
        """Send the question and begin to read."""
        self._transport.start_turn(request, self._take, self._closed, self._broken)

    def abandon(self) -> None:
        """Deliver nothing more."""
        self._ended = True

    def _take(self, event: Event) -> None:
        if self._ended or event.sequence <= self._sequence:
            return
        self._sequence = event.sequence
        self._tries = 0
        self._ended = event.is_final
        self._on_event(event)

    def _closed(self) -> None:
        self._broken(ConnectionLost(_("The backend ended the answer before it was complete.")))

    def _broken(self, error: VilaM3Error) -> None:
        if self._ended:
            return
        if not isinstance(error, ConnectionLost) or self._sequence == 0 or self._tries == len(RETRY_AFTER):
            self._ended = True
            self._on_failed(error)
            return
        self._host.later(RETRY_AFTER[self._tries], self._resume)
        self._tries += 1

    def _resume(self) -> None:
        if not self._ended:
            self._transport.resume_turn(self._turn_id, self._sequence, self._take, self._closed, self._broken)
