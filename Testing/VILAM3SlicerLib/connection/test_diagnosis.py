"""What is wrong with a connection is told in plain words, each kind with a code of its own; real servers."""

from __future__ import annotations

import pytest

from Testing.inference_backend.service.running import KEY, running
from Testing.VILAM3SlicerLib.connection.conftest import AnsweringServer, handshake, outcome
from VILAM3SlicerLib.connection.address import read_address
from VILAM3SlicerLib.connection.diagnosis import connection_error, readiness_error
from VILAM3SlicerLib.connection.http import HttpRequest, Receiver
from VILAM3SlicerLib.protocol.errors import ConnectionLost, Unauthorized, VilaM3Error
from VILAM3SlicerLib.protocol.messages import BackendStatus


def test_nothing_listens(free_url: str) -> None:
    told = handshake(free_url)
    assert isinstance(told, ConnectionLost)
    assert told.code == "nothing_listens"
    assert free_url in told.message


def test_no_such_machine() -> None:
    told = handshake("http://no-such-machine.invalid")
    assert told.code == "host_unknown"
    assert "no-such-machine.invalid" in told.message


def test_a_machine_that_never_answers(silent_url: str) -> None:
    def ask(transport, done, error) -> None:
        transport._http.send(HttpRequest("GET", "/v1/status", patience=0.3), Receiver(done, error))

    assert outcome(silent_url, ask).code == "timed_out"


def test_a_certificate_that_nobody_vouches_for(tls_server: AnsweringServer) -> None:
    told = handshake(tls_server.url)
    assert told.code == "tls_failed"
    assert "CA file" in told.hint
    assert not tls_server.requests


def test_encryption_where_none_is_spoken(server: AnsweringServer) -> None:
    assert handshake(server.url.replace("http", "https")).code == "tls_failed"


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, b"<html>Welcome to the printer</html>", "not_our_backend"),
        (200, [], "not_our_backend"),
        (200, {"object": "list"}, "not_our_backend"),
        (404, b"not found", "not_our_backend"),
        (302, b"", "not_our_backend"),
        (401, b"", "not_our_backend"),
        (404, {"error": "no such page"}, "not_our_backend"),
        (404, {"error": {"message": "Unknown model"}}, "not_our_backend"),
        (407, b"", "proxy_failed"),
        (502, b"Bad Gateway", "gateway"),
        (400, b"The plain HTTP request was sent to HTTPS port", "tls_wanted"),
        (200, {"protocol_version": 999, "other": "fields"}, "wrong_version"),
        (200, {"protocol_version": "1"}, "not_our_backend"),
    ],
)
def test_something_else_answers(server: AnsweringServer, status: int, body: object, code: str) -> None:
    told = handshake(server.say(status, body).url)
    assert isinstance(told, VilaM3Error)
    assert told.code == code
    assert told.hint


def test_a_redirection_is_not_followed(server: AnsweringServer) -> None:
    handshake(server.say(307, b"", Location=f"{server.url}/elsewhere").url)
    assert server.requests == [("GET", "/v1/status")]


def test_wrong_key_and_right_key_at_the_real_service(tmp_path) -> None:
    with running(tmp_path) as service:
        told = handshake(service.url, "another key of some length")
        assert isinstance(told, Unauthorized)
        status = handshake(service.url, KEY)
        assert isinstance(status, BackendStatus)
        assert readiness_error(status) is None


def test_a_model_that_loads_or_failed_is_told_with_its_reason() -> None:
    loading = readiness_error(BackendStatus(1, "loading", "Reading the weights"))
    assert loading is not None
    assert loading.code == "loading"
    assert "Reading the weights" in loading.message
    failed = readiness_error(BackendStatus(1, "failed", "Needs 40 GB"))
    assert failed is not None
    assert failed.code == "model_failed"
    assert "Needs 40 GB" in failed.message


def test_what_the_toolkit_says_is_passed_on() -> None:
    told = connection_error("tls", read_address("https://gpu"), "certificate has expired.")
    assert "(certificate has expired)." in told.message


def test_plain_http_where_tls_is_spoken_is_suspected_on_other_machines_only() -> None:
    assert "https://" in connection_error("closed", read_address("gpu-box")).hint
    for address in ("https://gpu-box", "127.0.0.1"):
        assert "https://" not in connection_error("closed", read_address(address)).hint
