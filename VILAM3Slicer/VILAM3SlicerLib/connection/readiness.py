"""Waiting until a backend has loaded its model."""

from __future__ import annotations

from collections.abc import Callable

from VILAM3SlicerLib.chat.interfaces import Host, OnError
from VILAM3SlicerLib.connection.diagnosis import readiness_error
from VILAM3SlicerLib.connection.transport import BackendTransport
from VILAM3SlicerLib.protocol.errors import VilaM3Error
from VILAM3SlicerLib.protocol.messages import BackendStatus
from VILAM3SlicerLib.protocol.phrases import phrases

_ = phrases(__name__)

ASK_EVERY = 0.5
PATIENCE = 600.0
"""Seconds; the largest checkpoint loads in some minutes from a slow disk."""


class ReadinessWatch:
    """Asks for the status until the model is ready; ``stop`` ends that.

    ``on_wait`` is told of each status while the model loads; then one of the other two is called, once.
    """

    def __init__(
        self,
        transport: BackendTransport,
        host: Host,
        *,
        on_wait: Callable[[BackendStatus], None],
        on_ready: Callable[[BackendStatus], None],
        on_error: OnError,
        patience: float = PATIENCE,
    ) -> None:
        self._transport = transport
        self._host = host
        self._on_wait = on_wait
        self._on_ready = on_ready
        self._on_error = on_error
        self._until = host.now() + patience
        self._stopped = False
        self._ask()

    def stop(self) -> None:
        """Tell nothing any more."""
        self._stopped = True

    def _ask(self) -> None:
        if not self._stopped:
            self._transport.status(self._judge, self._fail)

    def _judge(self, status: BackendStatus) -> None:
        if self._stopped:
            return
        trouble = readiness_error(status)
        if trouble is None:
            self._on_ready(status)
        elif status.readiness == "failed":
            self._on_error(trouble)
        elif self._host.now() > self._until:
            self._on_error(
                VilaM3Error(_("The backend did not get ready in time."), _("See the backend's log."))
            )
        else:
            self._on_wait(status)
            self._host.later(ASK_EVERY, self._ask)

    def _fail(self, error: VilaM3Error) -> None:
        if not self._stopped:
            self._on_error(error)
