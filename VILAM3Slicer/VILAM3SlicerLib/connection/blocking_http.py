"""A backend asked from a script: the network of the standard library, in the thread that calls."""

from __future__ import annotations

import heapq
import http.client
import itertools
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from typing import TypeVar, cast

from VILAM3SlicerLib.chat.interfaces import OnError
from VILAM3SlicerLib.connection.address import BackendAddress
from VILAM3SlicerLib.connection.consent import ScanGate
from VILAM3SlicerLib.connection.diagnosis import Cause, connection_error
from VILAM3SlicerLib.connection.http import Http, HttpAnswer, HttpRequest, Receiver
from VILAM3SlicerLib.protocol.errors import VilaM3Error

Value = TypeVar("Value")

_PIECE = 1 << 16
_LONGEST_NAP = 0.05


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
        """Do ``work`` when its turn comes: a script waits anyway."""

        def do() -> None:
            try:
                value = work()
            except VilaM3Error as error:
                on_error(error)
            else:
                on_done(value)

        self.later(0.0, do)

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
                raise VilaM3Error("The question came to no end.", "Ask again.")
            due = self._waiting[0][0] - self.now()
            if due > 0:
                time.sleep(min(due, _LONGEST_NAP))
            else:
                heapq.heappop(self._waiting)[2]()


class BlockingHttp(Http):
    """Implements ``connection.http.Http``, one request after the other, through no proxy.

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

    def close(self) -> None:
        """Nothing goes on by itself."""

    def _transmit(self, request: HttpRequest, receiver: Receiver) -> None:
        self._host.later(0.0, lambda: self._exchange(request, receiver))

    def _exchange(self, request: HttpRequest, receiver: Receiver) -> None:
        connection = None
        try:
            connection = self._connect(request.patience)
            answer = self._ask(connection, request, receiver)
        except VilaM3Error as error:  # what came is no event
            receiver.on_error(error)
        except (OSError, http.client.HTTPException) as error:
            cause = _cause(error, connection is not None and connection.sock is not None)
            receiver.on_error(connection_error(cause, self.address, str(error) or type(error).__name__))
        else:
            receiver.on_answer(answer)
        finally:
            if connection is not None:
                connection.close()

    def _connect(self, patience: float) -> http.client.HTTPConnection:
        place = self.address.host, self.address.port
        if self.address.is_encrypted:
            context = ssl.create_default_context(cafile=self._ca_file)
            return http.client.HTTPSConnection(*place, timeout=patience, context=context)
        return http.client.HTTPConnection(*place, timeout=patience)

    def _ask(
        self, connection: http.client.HTTPConnection, request: HttpRequest, receiver: Receiver
    ) -> HttpAnswer:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
            length = request.length
            headers |= (
                {"Content-Length": str(length)} if length is not None else {"Transfer-Encoding": "chunked"}
            )
        connection.request(
            request.method,
            self.address.path + request.path,
            body=cast("Iterable[bytes] | None", request.body),  # memoryviews are sent as well
            headers=headers,
            encode_chunked=request.length is None,
        )
        response = connection.getresponse()
        pieces: list[bytes] = []
        is_good = 200 <= response.status < 300
        take = receiver.on_piece if is_good and receiver.on_piece is not None else pieces.append
        while piece := response.read1(_PIECE):
            take(piece)
            self._host.breathe()
        return HttpAnswer(response.status, b"".join(pieces))


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
