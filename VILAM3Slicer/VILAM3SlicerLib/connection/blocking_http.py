"""A backend asked from a script: the network of the standard library, on threads, while the script waits."""

from __future__ import annotations

import heapq
import http.client
import itertools
import queue
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeVar, cast

from VILAM3SlicerLib.chat.interfaces import End, OnError
from VILAM3SlicerLib.connection.address import BackendAddress
from VILAM3SlicerLib.connection.background import BackgroundWork
from VILAM3SlicerLib.connection.consent import ScanGate
from VILAM3SlicerLib.connection.diagnosis import Cause, connection_error
from VILAM3SlicerLib.connection.http import Http, HttpAnswer, HttpRequest, Receiver
from VILAM3SlicerLib.protocol.errors import VilaM3Error
from VILAM3SlicerLib.protocol.phrases import phrases

_ = phrases(__name__)

Value = TypeVar("Value")

_PIECE = 1 << 16
_NAP = 0.01
"""Seconds between two looks at what threads do; the caller breathes as often."""


class BlockingHost:
    """Implements ``chat.interfaces.Host`` for a script: what is to be done later is done by ``run``.

    Args:
        while_waiting: called again and again meanwhile, such as ``slicer.app.processEvents``.
    """

    def __init__(self, while_waiting: Callable[[], None] = lambda: None) -> None:
        self.breathe = while_waiting
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def in_background(
        self, work: Callable[[], Value], on_done: Callable[[Value], None], on_error: OnError
    ) -> None:
        """Do ``work`` on a thread, then tell the outcome within ``run``."""
        self._watch(BackgroundWork(work, on_done, on_error))

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do ``action`` after a while, within ``run``."""
        heapq.heappush(self._waiting, (self.now() + seconds, next(self._numbers), action))

    def now(self) -> float:
        """Seconds on the monotonic clock."""
        return time.monotonic()

    def run(self, until: Callable[[], bool]) -> None:
        """Do what comes until a condition holds.

        Raises:
            VilaM3Error: nothing is left to do, and it does not hold.
        """
        while not until():
            self.breathe()
            if not self._waiting:
                raise VilaM3Error(_("The question came to no end."), _("Ask again."))
            due = self._waiting[0][0] - self.now()
            if due > 0:
                time.sleep(min(due, _NAP))
            else:
                heapq.heappop(self._waiting)[2]()

    def _watch(self, work: BackgroundWork[Value]) -> None:
        if work.has_ended:
            work.tell()
        else:
            self.later(_NAP, lambda: self._watch(work))


class BlockingHttp(Http):
    """Implements ``connection.http.Http`` for a script, through no proxy.

    Args:
        ca_file: a file of certificates to trust instead of the system's, None for those.
    """

    def __init__(
        self,
        address: BackendAddress,
        gate: ScanGate,
        key: str,
        host: BlockingHost,
        *,
        ca_file: str | None = None,
    ) -> None:
        super().__init__(address, gate)
        self._key = key
        self._host = host
        self._ca_file = ca_file
        self._exchanges: set[_Exchange] = set()

    def close(self) -> None:
        """End what still runs; as the script waits no more, nobody is told."""
        for exchange in tuple(self._exchanges):
            exchange.cut()

    def _transmit(self, request: HttpRequest, receiver: Receiver) -> End:
        exchange = _Exchange(self.address, self._key, self._ca_file, request, receiver)
        self._exchanges.add(exchange)
        self._follow(exchange)
        return exchange.cut

    def _follow(self, exchange: _Exchange) -> None:
        """Hand over what has come so far, until all has."""
        if exchange.tell():
            self._exchanges.discard(exchange)
        else:
            self._host.later(_NAP, lambda: self._follow(exchange))


class _Exchange:
    """A request and its answer, on a thread; what comes is told on the thread that calls ``tell``."""

    def __init__(
        self, address: BackendAddress, key: str, ca_file: str | None, request: HttpRequest, receiver: Receiver
    ) -> None:
        self._address = address
        self._key = key
        self._ca_file = ca_file
        self._request = request
        self._receiver = receiver
        self._pieces: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._connection: http.client.HTTPConnection | None = None
        self._work = BackgroundWork(self._run, receiver.on_answer, receiver.on_error)

    def tell(self) -> bool:
        """Hand over what has come since; whether the exchange is over."""
        is_over = self._work.has_ended
        try:
            self._hand_over()
        except VilaM3Error as error:  # what came is no event
            self.cut()
            self._receiver.on_error(error)
            return True
        if is_over:
            self._work.tell()
        return is_over

    def cut(self) -> None:
        """End it at once, also where the thread waits for a byte."""
        sock = self._connection.sock if self._connection is not None else None
        if sock is not None:
            with suppress(OSError):  # the other side was faster
                sock.shutdown(socket.SHUT_RDWR)

    def _hand_over(self) -> None:
        while not self._pieces.empty():
            piece = self._pieces.get()
            if self._receiver.on_piece is not None:
                self._receiver.on_piece(piece)

    def _run(self) -> HttpAnswer:
        connection = None
        try:
            self._connection = connection = self._connect()
            return self._exchange(connection)
        except (OSError, http.client.HTTPException) as error:
            cause = _cause(error, connection is not None and connection.sock is not None)
            raise connection_error(cause, self._address, str(error) or type(error).__name__) from error
        finally:
            if connection is not None:
                connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        place, patience = (self._address.host, self._address.port), self._request.patience
        if self._address.is_encrypted:
            context = ssl.create_default_context(cafile=self._ca_file)
            return http.client.HTTPSConnection(*place, timeout=patience, context=context)
        return http.client.HTTPConnection(*place, timeout=patience)

    def _exchange(self, connection: http.client.HTTPConnection) -> HttpAnswer:
        self._send(connection)
        response = connection.getresponse()
        pieces: list[bytes] = []
        is_good = 200 <= response.status < 300
        take = self._pieces.put if is_good and self._receiver.on_piece is not None else pieces.append
        while piece := response.read1(_PIECE):
            take(piece)
        return HttpAnswer(response.status, b"".join(pieces))

    def _send(self, connection: http.client.HTTPConnection) -> None:
        request, length = self._request, self._request.length
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
            headers |= (
                {"Content-Length": str(length)} if length is not None else {"Transfer-Encoding": "chunked"}
            )
        connection.request(
            request.method,
            self._address.path + request.path,
            body=cast("Iterable[bytes] | None", request.body),  # memoryviews are sent as well
            headers=headers,
            encode_chunked=length is None,
        )


def _cause(error: Exception, was_connected: bool) -> Cause:
    if isinstance(error, TimeoutError):
        return "timed_out"
    if isinstance(error, ssl.SSLError):
        return "tls"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, socket.gaierror):
        return "unknown_host"
    return "closed" if was_connected or isinstance(error, http.client.HTTPException) else "unreachable"
