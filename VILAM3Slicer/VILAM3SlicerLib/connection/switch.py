"""The transport that stays while backends come and go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from VILAM3SlicerLib.chat.interfaces import End, OnDone, OnError, OnSent, PackedVolume
from VILAM3SlicerLib.connection.transport import BackendTransport, OnBytes, OnEvent
from VILAM3SlicerLib.protocol.errors import ConnectionLost


class SwitchedTransport:
    """Implements ``chat.interfaces.Transport`` by the backend that is connected at the moment."""

    def __init__(self, why_none: Callable[[], ConnectionLost]) -> None:
        self._now: BackendTransport | None = None
        self._why_none = why_none

    @property
    def now(self) -> BackendTransport | None:
        """The transport to the connected backend, if there is one."""
        return self._now

    def switch(self, transport: BackendTransport | None) -> None:
        """Use another backend from now on; what still runs on the one before is told that it was lost."""
        before, self._now = self._now, transport
        if before is not None:
            before.close()

    def put_volume(self, volume: PackedVolume, on_done: OnDone, on_error: OnError, on_sent: OnSent) -> End:
        """See ``chat.interfaces.Transport``, here and below."""
        if self._now is None:
            on_error(self._why_none())
            return lambda: None
        return self._now.put_volume(volume, on_done, on_error, on_sent)

    def start_turn(
        self, request: Mapping[str, Any], on_event: OnEvent, on_done: OnDone, on_error: OnError
    ) -> None:
        if self._now is None:
            on_error(self._why_none())
        else:
            self._now.start_turn(request, on_event, on_done, on_error)

    def resume_turn(
        self, turn_id: str, after: int, on_event: OnEvent, on_done: OnDone, on_error: OnError
    ) -> None:
        if self._now is None:
            on_error(self._why_none())
        else:
            self._now.resume_turn(turn_id, after, on_event, on_done, on_error)

    def cancel_turn(self, turn_id: str) -> None:
        if self._now is not None:
            self._now.cancel_turn(turn_id)

    def get_image(self, sha256: str, on_done: OnBytes, on_error: OnError) -> None:
        if self._now is None:
            on_error(self._why_none())
        else:
            self._now.get_image(sha256, on_done, on_error)

    def get_result(self, result_id: str, on_done: OnBytes, on_error: OnError) -> None:
        if self._now is None:
            on_error(self._why_none())
        else:
            self._now.get_result(result_id, on_done, on_error)
