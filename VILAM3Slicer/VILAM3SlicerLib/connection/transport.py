"""The conversation's requests, as every front end sends them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from VILAM3SlicerLib.chat.interfaces import End, OnDone, OnError, OnSent, PackedVolume
from VILAM3SlicerLib.connection.compression import gzipped_nrrd
from VILAM3SlicerLib.connection.diagnosis import answer_error, head_error, read_status
from VILAM3SlicerLib.connection.http import Http, HttpAnswer, HttpRequest, Receiver
from VILAM3SlicerLib.protocol.errors import VilaM3Error
from VILAM3SlicerLib.protocol.event_stream import EventStreamDecoder, events_in
from VILAM3SlicerLib.protocol.events import Event
from VILAM3SlicerLib.protocol.messages import BackendStatus

OnEvent = Callable[[Event], None]
OnBytes = Callable[[bytes], None]

UPLOAD_PATIENCE = 120.0
"""Seconds; the backend checks the hash of a large volume before it answers."""


class BackendTransport:
    """Implements ``chat.interfaces.Transport`` over one backend's ``Http``."""

    def __init__(self, http: Http) -> None:
        self._http = http

    @property
    def http(self) -> Http:
        """The way out that it uses."""
        return self._http

    def status(self, on_status: Callable[[BackendStatus], None], on_error: OnError) -> None:
        """The handshake; see ``diagnosis.read_status`` for what ``on_error`` is told."""

        def read(answer: HttpAnswer) -> None:
            try:
                status = read_status(answer, self._http.address)
            except VilaM3Error as error:
                on_error(error)
            else:
                on_status(status)

        self._http.send(HttpRequest("GET", "/v1/status", patience=10.0), Receiver(read, on_error))

    def put_volume(self, volume: PackedVolume, on_done: OnDone, on_error: OnError, on_sent: OnSent) -> End:
        """Send a volume unless the backend has it already; compressed if it leaves this machine. What
        ``on_sent`` is told are the bytes on the wire."""
        path = f"/v1/volumes/{volume.sha256}"
        upload: list[End] = []

        def decide(answer: HttpAnswer) -> None:
            if answer.status == 404:
                upload.append(self._send(self._upload(path, volume), lambda _: on_done(), on_error, on_sent))
            elif answer.is_error:
                on_error(head_error(answer, self._http.address))
            else:
                on_done()

        question = self._http.send(HttpRequest("HEAD", path), Receiver(decide, on_error))

        def end() -> None:
            for one in upload or (question,):
                one()

        return end

    def start_turn(
        self, request: Mapping[str, Any], on_event: OnEvent, on_done: OnDone, on_error: OnError
    ) -> None:
        """Ask, and read the answer's events."""
        body = json.dumps(request).encode()
        question = HttpRequest("POST", "/v1/chat/completions", (body,), len(body))
        self._read_events(question, on_event, on_done, on_error)

    def resume_turn(
        self, turn_id: str, after: int, on_event: OnEvent, on_done: OnDone, on_error: OnError
    ) -> None:
        """Read the events after ``after`` of a turn that goes on without us."""
        path = f"/v1/turns/{turn_id}/events?after={after}"
        self._read_events(HttpRequest("GET", path), on_event, on_done, on_error)

    def cancel_turn(self, turn_id: str) -> None:
        """Ask for the turn's end. That it fails is seen on the stream, so nothing is done about it here."""
        self._send(HttpRequest("POST", f"/v1/turns/{turn_id}/cancel"), lambda _: None, lambda _: None)

    def get_image(self, sha256: str, on_done: OnBytes, on_error: OnError) -> None:
        """Fetch an image as PNG."""
        self._send(HttpRequest("GET", f"/v1/images/{sha256}"), on_done, on_error)

    def get_result(self, result_id: str, on_done: OnBytes, on_error: OnError) -> None:
        """Fetch a labelmap as NRRD."""
        self._send(HttpRequest("GET", f"/v1/results/{result_id}"), on_done, on_error)

    def close(self) -> None:
        """End what still runs and close the connections."""
        self._http.close()

    def _upload(self, path: str, volume: PackedVolume) -> HttpRequest:
        if self._http.address.is_loopback:
            length = sum(memoryview(piece).nbytes for piece in volume.pieces)
            return HttpRequest("PUT", path, volume.pieces, length, _NRRD, UPLOAD_PATIENCE)
        packed = gzipped_nrrd(volume.pieces)
        return HttpRequest("PUT", path, packed, None, _NRRD, UPLOAD_PATIENCE)

    def _send(
        self, request: HttpRequest, on_done: OnBytes, on_error: OnError, on_sent: OnSent | None = None
    ) -> End:
        def judge(answer: HttpAnswer) -> None:
            if answer.is_error:
                on_error(answer_error(answer, self._http.address))
            else:
                on_done(answer.body)

        return self._http.send(request, Receiver(judge, on_error, on_sent=on_sent))

    def _read_events(
        self, request: HttpRequest, on_event: OnEvent, on_done: OnDone, on_error: OnError
    ) -> None:
        decoder = EventStreamDecoder()

        def take(piece: bytes) -> None:
            for event in events_in(decoder, piece):
                on_event(event)

        def judge(answer: HttpAnswer) -> None:
            if answer.is_error:
                on_error(answer_error(answer, self._http.address))
            else:
                on_done()

        self._http.send(request, Receiver(judge, on_error, take))


_NRRD = "application/x-nrrd"
