"""Decoding of server-sent events, a piece of bytes at a time.

Works on what a socket happens to deliver, so every transport (Qt, aiohttp, httpx) can use it.
Standard: html.spec.whatwg.org, section 9.2 (server-sent events).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from VILAM3SlicerLib.protocol.characters import load_json
from VILAM3SlicerLib.protocol.events import Event, event_from_json

DONE = "[DONE]"
"""The data of the last message, as in OpenAI's convention."""


class EventStreamDecoder:
    """Feeds on bytes, gives the data of each complete message."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> Iterator[str]:
        """Yield the data of the messages that ``piece`` completes."""
        *lines, self._rest = (self._rest + piece.replace(b"\r\n", b"\n")).split(b"\n")
        for line in lines:
            yield from self._take(line.rstrip(b"\r").decode("utf-8", "replace"))

    def _take(self, line: str) -> Iterator[str]:
        if line:
            name, _, value = line.partition(":")
            if name == "data":
                self._data.append(value.removeprefix(" "))
        elif self._data:
            data, self._data = "\n".join(self._data), []
            yield data


def events_in(decoder: EventStreamDecoder, piece: bytes) -> Iterator[Event]:
    """The events of ours that ``piece`` completes; chunks without one are passed over."""
    for data in decoder.feed(piece):
        if data != DONE:
            yield from _events_of(load_json(data))


def _events_of(chunk: dict[str, Any]) -> Iterator[Event]:
    ours = chunk.get("vilam3")
    event = event_from_json(ours) if isinstance(ours, dict) else None
    if event is not None:
        yield event
