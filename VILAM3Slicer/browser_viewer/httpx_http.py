"""The network of the browser viewer: httpx on asyncio."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx

from VILAM3SlicerLib.chat.interfaces import End, OnSent
from VILAM3SlicerLib.connection.address import BackendAddress
from VILAM3SlicerLib.connection.consent import ScanGate
from VILAM3SlicerLib.connection.diagnosis import Cause, connection_error
from VILAM3SlicerLib.connection.http import PATIENCE, Http, HttpAnswer, HttpRequest, Receiver
from VILAM3SlicerLib.protocol.errors import ConnectionLost, VilaM3Error

_CONNECT_PATIENCE = 5.0


class HttpxHttp(Http):
    """Implements ``connection.http.Http``; use it on a running event loop only."""

    def __init__(
        self,
        address: BackendAddress,
        gate: ScanGate,
        key: str,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(address, gate)
        self._http = httpx.AsyncClient(
            base_url=address.url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            transport=transport,
            trust_env=not address.is_loopback,  # a proxy must not see what stays on this machine
        )
        self._tasks: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """End what still runs."""
        for task in tuple(self._tasks):
            task.cancel()

    async def close_connections(self) -> None:
        """End what still runs and close the connections."""
        self.close()
        await self._http.aclose()

    def _transmit(self, request: HttpRequest, receiver: Receiver) -> End:
        task = asyncio.get_running_loop().create_task(self._exchange(request, receiver))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

        def end() -> None:
            task.cancel()

        return end

    async def _exchange(self, request: HttpRequest, receiver: Receiver) -> None:
        pieces: list[bytes] = []
        take = receiver.on_piece or pieces.append
        try:
            async with self._http.stream(**_arguments(request, receiver)) as response:
                if response.is_success:
                    async for piece in response.aiter_bytes():
                        take(piece)
                else:
                    pieces.append(await response.aread())
        except asyncio.CancelledError:
            receiver.on_error(connection_error("closed", self.address))
            raise
        except httpx.TransportError as error:
            receiver.on_error(self._told(error))
        except VilaM3Error as error:  # what came is no event
            receiver.on_error(error)
        else:
            receiver.on_answer(HttpAnswer(response.status_code, b"".join(pieces)))

    def _told(self, error: httpx.TransportError) -> ConnectionLost:
        return connection_error(_cause(error), self.address, str(error) or type(error).__name__)


def _arguments(request: HttpRequest, receiver: Receiver) -> dict[str, Any]:
    headers = {}
    if request.body is not None:
        headers["Content-Type"] = request.content_type
    if request.length is not None:
        headers["Content-Length"] = str(request.length)
    return {
        "method": request.method,
        "url": request.path,
        "content": None
        if request.body is None
        else _one_by_one(request.body, request.length, receiver.on_sent),
        "headers": headers,
        "timeout": httpx.Timeout(
            max(request.patience, PATIENCE), connect=_CONNECT_PATIENCE, read=request.patience
        ),
    }


async def _one_by_one(
    pieces: Iterable[bytes | memoryview], length: int | None, on_sent: OnSent | None
) -> AsyncIterator[bytes]:
    """Piece by piece, made on a thread, so that the event loop breathes between them."""
    remaining, sent = iter(pieces), 0
    while (piece := await asyncio.to_thread(next, remaining, None)) is not None:
        data = bytes(piece)
        yield data
        sent += len(data)
        if on_sent is not None:
            on_sent(sent, length)


def _cause(error: httpx.TransportError) -> Cause:
    causes = tuple(_chain(error))
    if isinstance(error, httpx.TimeoutException):
        return "timed_out"
    if isinstance(error, httpx.ProxyError):
        return "proxy"
    if any(isinstance(one, ssl.SSLError) for one in causes) or "CERTIFICATE" in str(error):
        return "tls"
    if any(isinstance(one, ConnectionRefusedError) for one in causes):
        return "refused"
    if any(isinstance(one, socket.gaierror) for one in causes):
        return "unknown_host"
    return "unreachable" if isinstance(error, httpx.ConnectError) else "closed"


def _chain(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
