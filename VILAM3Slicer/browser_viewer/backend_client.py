"""The network of the browser viewer: httpx on asyncio, speaking the wire of the backend."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from json import JSONDecodeError
from typing import Any
from urllib.parse import urlsplit

import httpx

from VILAM3SlicerLib.chat.interfaces import OnDone, OnError, PackedVolume
from VILAM3SlicerLib.protocol import PROTOCOL_VERSION
from VILAM3SlicerLib.protocol.codec import from_json
from VILAM3SlicerLib.protocol.errors import ConnectionLost, InvalidRequest, VilaM3Error, error_from_json
from VILAM3SlicerLib.protocol.event_stream import EventStreamDecoder, events_in
from VILAM3SlicerLib.protocol.events import Event
from VILAM3SlicerLib.protocol.messages import BackendStatus

OnEvent = Callable[[Event], None]
_TIMEOUT = httpx.Timeout(connect=5.0, read=30.0, write=120.0, pool=5.0)
"""Seconds. A stream is never silent for longer than 5 s, since the backend sends heartbeats."""

LOST_HINT = "See whether the backend still runs, start it again if not, and ask again. Nothing here is lost."


class BackendClient:
    """Implements ``chat.interfaces.Transport``; use it on a running event loop only."""

    def __init__(self, url: str, key: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=_TIMEOUT,
            transport=transport,
            trust_env=not _is_loopback(url),  # a proxy must not see what stays on this machine
        )
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """End what still runs and close the connections."""
        for task in tuple(self._tasks):
            task.cancel()
        await self._http.aclose()

    async def status(self) -> BackendStatus:
        """The handshake.

        Raises:
            ConnectionLost: nobody answers at this address.
            InvalidRequest: the backend speaks another version of the protocol.
        """
        status = from_json(BackendStatus, (await self._ask("GET", "/v1/status")).json())
        if status.protocol_version != PROTOCOL_VERSION:
            raise InvalidRequest(
                f"The backend speaks version {status.protocol_version} of the protocol, "
                f"this viewer version {PROTOCOL_VERSION}.",
                "Install both from the same release.",
            )
        return status

    async def wait_until_ready(self, on_wait: Callable[[str], None], seconds: float = 600.0) -> BackendStatus:
        """Wait while the backend loads its model; ``on_wait`` is told what it does, once each.

        Raises:
            ConnectionLost: the backend cannot be reached.
            VilaM3Error: the model could not be loaded, or not in time.
        """
        told = ""
        for _ in range(int(seconds * 2)):
            status = await self.status()
            if status.readiness == "ready":
                return status
            if status.readiness == "failed":
                raise VilaM3Error(f"The model could not be loaded: {status.detail}", "See the backend's log.")
            detail = status.detail or "The backend loads its model"
            if detail != told:
                on_wait(detail)
            told = detail
            await asyncio.sleep(0.5)
        raise VilaM3Error("The backend did not get ready in time.", "See the backend's log.")

    def put_volume(self, volume: PackedVolume, on_done: OnDone, on_error: OnError) -> None:
        """Send a volume unless the backend has it already."""
        self._spawn(self._put_volume(volume), lambda _: on_done(), on_error)

    def start_turn(
        self, request: Mapping[str, Any], on_event: OnEvent, on_done: OnDone, on_error: OnError
    ) -> None:
        """Ask, and read the answer's events."""
        events = self._read("POST", "/v1/chat/completions", on_event, json=dict(request))
        self._spawn(events, lambda _: on_done(), on_error)

    def resume_turn(
        self, turn_id: str, after: int, on_event: OnEvent, on_done: OnDone, on_error: OnError
    ) -> None:
        """Read the events after ``after`` of a turn that goes on without us."""
        events = self._read("GET", f"/v1/turns/{turn_id}/events", on_event, params={"after": after})
        self._spawn(events, lambda _: on_done(), on_error)

    def cancel_turn(self, turn_id: str) -> None:
        """Ask for the turn's end. That it fails is seen on the stream, so nothing is done about it here."""
        self._spawn(self._ask("POST", f"/v1/turns/{turn_id}/cancel"), lambda _: None, lambda _: None)

    def get_image(self, sha256: str, on_done: Callable[[bytes], None], on_error: OnError) -> None:
        """Fetch an image as PNG."""
        self._spawn(self._get(f"/v1/images/{sha256}"), on_done, on_error)

    def get_result(self, result_id: str, on_done: Callable[[bytes], None], on_error: OnError) -> None:
        """Fetch a labelmap as NRRD."""
        self._spawn(self._get(f"/v1/results/{result_id}"), on_done, on_error)

    def _spawn(
        self, work: Coroutine[Any, Any, Any], on_done: Callable[[Any], None], on_error: OnError
    ) -> None:
        async def run() -> None:
            try:
                outcome = await work
            except VilaM3Error as error:
                on_error(error)
            else:
                on_done(outcome)

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _put_volume(self, volume: PackedVolume) -> None:
        path = f"/v1/volumes/{volume.sha256}"
        async with _errors():
            known = (await self._http.head(path)).status_code == httpx.codes.OK
        if not known:
            length = sum(len(piece) for piece in volume.pieces)
            headers = {"Content-Length": str(length), "Content-Type": "application/octet-stream"}
            await self._ask("PUT", path, content=_one_by_one(volume.pieces), headers=headers)

    async def _get(self, path: str) -> bytes:
        return (await self._ask("GET", path)).content

    async def _ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        async with _errors():
            response = await self._http.request(method, path, **arguments)
        _raise_for(response)
        return response

    async def _read(self, method: str, path: str, on_event: OnEvent, **arguments: Any) -> None:
        decoder = EventStreamDecoder()
        async with _errors(), self._http.stream(method, path, **arguments) as response:
            if response.is_error:
                await response.aread()
            _raise_for(response)
            async for piece in response.aiter_bytes():
                for event in events_in(decoder, piece):
                    on_event(event)


async def _one_by_one(pieces: Iterable[bytes | memoryview]) -> AsyncIterator[bytes]:
    """Piece by piece, so that the event loop breathes between them."""
    for piece in pieces:
        yield bytes(piece)


@asynccontextmanager
async def _errors() -> AsyncIterator[None]:
    try:
        yield
    except httpx.TransportError as error:
        name = type(error).__name__
        raise ConnectionLost(f"The connection to the backend was lost ({name}).", LOST_HINT) from error
    except httpx.InvalidURL as error:
        raise InvalidRequest(
            f"The backend's address is not usable: {error}", "http://127.0.0.1:8741"
        ) from error


def _raise_for(response: httpx.Response) -> None:
    if response.is_error:
        try:
            body = response.json()
        except (JSONDecodeError, UnicodeDecodeError):
            body = None
        if isinstance(body, dict):
            raise error_from_json(body)
        raise VilaM3Error(
            f"The backend answered with status {response.status_code}.", "See the backend's log."
        )


def _is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
