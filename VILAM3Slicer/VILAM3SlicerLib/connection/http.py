"""The one way out to a backend: requests, answers, and the gate that scans pass only with consent.

A front end derives from ``Http`` and implements ``_transmit`` with its toolkit. Everything else of the
conversation with a backend (``transport``, ``weights``) is built on ``send`` and is written once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, final

from VILAM3SlicerLib.chat.interfaces import End, OnError, OnSent
from VILAM3SlicerLib.connection.address import BackendAddress
from VILAM3SlicerLib.connection.consent import ScanGate
from VILAM3SlicerLib.protocol.errors import VilaM3Error

PATIENCE = 30.0
"""Seconds without a byte in either direction after which a request is given up. A stream is never silent
for longer than 5 s, since the backend sends heartbeats."""

Method = Literal["GET", "HEAD", "PUT", "POST", "DELETE"]


@dataclass(frozen=True)
class HttpRequest:
    """One request.

    Attributes:
        path: route with its query, below the address of the backend.
        body: read once, when it is sent; may be long, so it comes in pieces.
        length: bytes of the body if that is known beforehand.
        is_about_patient: whether the body holds anything of a scan; only requests that surely hold nothing
            (a licence's acceptance) say no.
    """

    method: Method
    path: str
    body: Iterable[bytes | memoryview] | None = field(default=None, repr=False)
    length: int | None = None
    content_type: str = "application/json"
    patience: float = PATIENCE
    is_about_patient: bool = True


@dataclass(frozen=True)
class HttpAnswer:
    """A whole answer; ``body`` is empty where it was handed over piece by piece."""

    status: int
    body: bytes = field(default=b"", repr=False)

    @property
    def is_error(self) -> bool:
        return not 200 <= self.status < 300


@dataclass(frozen=True)
class Receiver:
    """Who takes an answer. Exactly one of the first two is called, once, after all calls of ``on_piece``.

    ``on_piece``, if there is one, takes the body of a good answer as it comes; a VilaM3Error that it raises
    ends the exchange and goes to ``on_error``.
    ``on_sent``, if there is one, is told now and then how much of a long body has gone out; a script's
    network, which nobody watches, does not tell it.
    """

    on_answer: Callable[[HttpAnswer], None]
    on_error: OnError
    on_piece: Callable[[bytes], None] | None = None
    on_sent: OnSent | None = None


class Http(ABC):
    """Sends requests to one backend. Nothing blocks; all callbacks come on the user interface's thread.

    Redirections are never followed, a certificate is never left unchecked, and what goes to this machine
    goes through no proxy.
    """

    def __init__(self, address: BackendAddress, gate: ScanGate) -> None:
        self.address = address
        self._gate = gate

    @final
    def send(self, request: HttpRequest, receiver: Receiver) -> End:
        """Send a request; one that may not leave this machine without consent fails before a byte is sent.

        What is returned ends it from our side, and its receiver is told that the connection was lost.
        """
        try:
            if request.body is not None and request.is_about_patient:
                self._gate.require(self.address)
        except VilaM3Error as error:
            receiver.on_error(error)
            return lambda: None
        return self._transmit(request, receiver)

    @abstractmethod
    def _transmit(self, request: HttpRequest, receiver: Receiver) -> End:
        """Send a request that may be sent; returns what ends it."""

    @abstractmethod
    def close(self) -> None:
        """End what still runs; its receivers are told that the connection was lost."""
