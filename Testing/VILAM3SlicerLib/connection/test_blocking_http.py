"""The standard library's network in a script's own thread, against the real service and bad servers."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference_backend.store.store import read_volume
from Testing.inference_backend.service.running import KEY, a_volume, running
from Testing.VILAM3SlicerLib.connection.conftest import OpenGate
from Testing.VILAM3SlicerLib.connection.test_transport import packed
from VILAM3SlicerLib.chat.interfaces import PackedVolume
from VILAM3SlicerLib.connection.address import read_address
from VILAM3SlicerLib.connection.blocking_http import BlockingHost, BlockingHttp
from VILAM3SlicerLib.connection.compression import gzipped_nrrd
from VILAM3SlicerLib.connection.http import HttpAnswer, HttpRequest, Receiver
from VILAM3SlicerLib.connection.transport import BackendTransport
from VILAM3SlicerLib.protocol.errors import HashMismatch, VilaM3Error
from VILAM3SlicerLib.protocol.events import Answer, Event


@pytest.fixture
def service(tmp_path: Path):
    with running(tmp_path) as started:
        yield started


def untold(_sent: int, _total: int | None) -> None:
    """A script shows no progress."""


class Script:
    """One backend's transport, and waiting for what a call of it tells."""

    def __init__(self, url: str, key: str = KEY, ca_file: str | None = None) -> None:
        self.host = BlockingHost()
        self.http = BlockingHttp(read_address(url), OpenGate(), key, self.host, ca_file=ca_file)
        self.transport = BackendTransport(self.http)

    def outcome(self, call) -> Any:
        told: list[Any] = []
        call(self.transport, lambda *value: told.append(value[0] if value else None), told.append)
        self.host.run(until=lambda: bool(told))
        return told[0]


def test_a_volume_arrives_whole(service) -> None:
    volume = packed()
    assert Script(service.url).outcome(lambda one, *told: one.put_volume(volume, *told, untold)) is None
    kept = read_volume(service.store.volumes.path(volume.sha256))
    assert np.array_equal(kept.voxels, a_volume().voxels)
    wrong = PackedVolume(packed(1).sha256, packed(2).pieces)
    told = Script(service.url).outcome(lambda one, *told: one.put_volume(wrong, *told, untold))
    assert isinstance(told, HashMismatch)


def test_a_body_of_unknown_length_arrives_whole(service) -> None:
    volume, script = packed(), Script(service.url)
    body = gzipped_nrrd(volume.pieces)
    answers: list[HttpAnswer] = []
    request = HttpRequest("PUT", f"/v1/volumes/{volume.sha256}", body, None, "application/x-nrrd")
    script.http.send(request, Receiver(answers.append, pytest.fail))
    script.host.run(until=lambda: bool(answers))
    assert not answers[0].is_error
    assert np.array_equal(read_volume(service.store.volumes.path(volume.sha256)).voxels, a_volume().voxels)


def test_a_turn_is_read_to_its_end_and_something_is_done_meanwhile(service) -> None:
    events: list[Event] = []
    breaths: list[float] = []
    script = Script(service.url)
    script.host.breathe = lambda: breaths.append(time.monotonic())
    body = service.ask("Hello?")
    script.outcome(lambda one, *told: one.start_turn(body, events.append, *told))
    assert isinstance(events[-1].payload, Answer)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert len(breaths) > 2


def test_wrong_key_and_nobody_there_are_told(service, free_url) -> None:
    def status(one, *told):
        one.status(*told)

    assert Script(service.url, "wrong").outcome(status).code == "unauthorized"
    assert Script(free_url).outcome(status).code == "nothing_listens"
    assert Script("http://no-such-host.invalid:1").outcome(status).code == "host_unknown"


def test_a_silent_server_is_given_up(silent_url) -> None:
    script, told = Script(silent_url), []
    script.http.send(HttpRequest("GET", "/v1/status", patience=0.2), Receiver(pytest.fail, told.append))
    script.host.run(until=lambda: bool(told))
    assert told[0].code == "timed_out"


def longest_gap(breaths: list[float]) -> float:
    return float(np.diff(breaths).max())


def test_the_caller_breathes_while_a_server_says_nothing(silent_url) -> None:
    script, told = Script(silent_url), []
    breaths: list[float] = []
    script.host.breathe = lambda: breaths.append(time.monotonic())
    script.http.send(HttpRequest("GET", "/v1/status", patience=1.0), Receiver(pytest.fail, told.append))
    script.host.run(until=lambda: bool(told))
    assert len(breaths) > 30
    assert longest_gap(breaths) < 0.3


def test_the_caller_breathes_while_work_is_done_in_the_background() -> None:
    breaths: list[float] = []
    done: list[str] = []
    host = BlockingHost(lambda: breaths.append(time.monotonic()))
    host.in_background(lambda: time.sleep(0.5) or "done", done.append, pytest.fail)
    host.run(until=lambda: bool(done))
    assert done == ["done"]
    assert len(breaths) > 15


def test_a_surprise_in_the_background_is_told() -> None:
    told: list[VilaM3Error] = []
    host = BlockingHost()
    host.in_background(lambda: 1 / 0, pytest.fail, told.append)
    host.run(until=lambda: bool(told))
    assert "ZeroDivisionError" in told[0].message


def test_closing_ends_a_request_that_waits(silent_url) -> None:
    script, before = Script(silent_url), threading.active_count()
    script.http.send(HttpRequest("GET", "/v1/status"), Receiver(pytest.fail, pytest.fail))
    assert threading.active_count() == before + 1
    end = time.monotonic() + 10
    while threading.active_count() > before:
        assert time.monotonic() < end
        script.http.close()
        time.sleep(0.02)


def test_a_ca_file_that_is_not_there_is_told(tls_server, tmp_path) -> None:
    script, told = Script(tls_server.url, ca_file=str(tmp_path / "nothing.pem")), []
    script.transport.status(pytest.fail, told.append)
    script.host.run(until=lambda: bool(told))
    assert told[0].message


def test_a_certificate_is_checked_and_a_known_one_trusted(tls_server, tmp_path) -> None:
    def status(one, *told):
        one.status(*told)

    tls_server.say(503, b"")
    assert Script(tls_server.url).outcome(status).code == "tls_failed"
    assert Script(tls_server.url, ca_file=str(tmp_path / "server.pem")).outcome(status).code == "gateway"


def test_waiting_for_what_never_comes_ends_with_a_word() -> None:
    with pytest.raises(VilaM3Error, match="came to no end"):
        BlockingHost().run(until=lambda: False)
