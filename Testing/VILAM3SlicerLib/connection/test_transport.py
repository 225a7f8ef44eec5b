"""The conversation's requests against the real service: volumes, turns, pictures, cuts."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import numpy as np
import pytest

from inference_backend.store.store import read_volume
from Testing.inference_backend.service.running import KEY, a_volume, running
from Testing.VILAM3SlicerLib.connection.conftest import AnsweringServer, outcome
from VILAM3SlicerLib.chat.interfaces import PackedVolume
from VILAM3SlicerLib.connection.compression import gzipped_nrrd
from VILAM3SlicerLib.connection.http import HttpRequest
from VILAM3SlicerLib.connection.transport import BackendTransport
from VILAM3SlicerLib.protocol.errors import ConnectionLost, HashMismatch, InvalidRequest, Unauthorized
from VILAM3SlicerLib.protocol.events import Answer, Event
from VILAM3SlicerLib.protocol.nrrd import encode_nrrd, nrrd_header


@pytest.fixture
def service(tmp_path: Path):
    with running(tmp_path) as started:
        yield started


def packed(seed: int = 0) -> PackedVolume:
    volume = a_volume(seed)
    nrrd = volume.to_nrrd()
    header = nrrd_header(nrrd.dtype, nrrd.shape, nrrd.ijk_to_ras, "raw")
    return PackedVolume(volume.content_hash, (header, nrrd.voxels))


def put(volume: PackedVolume, on_sent=lambda _sent, _total: None):
    return lambda transport, done, error: transport.put_volume(volume, done, error, on_sent)


def test_a_volume_arrives_whole_and_goes_up_once(service) -> None:
    volume = packed()
    assert outcome(service.url, put(volume), KEY) is None
    kept = read_volume(service.store.volumes.path(volume.sha256))
    assert np.array_equal(kept.voxels, a_volume().voxels)
    broken = PackedVolume(volume.sha256, (b"never", b"read"))
    assert outcome(service.url, put(broken), KEY) is None


def test_bytes_that_are_not_those_of_the_hash_are_refused(service) -> None:
    told = outcome(service.url, put(PackedVolume(packed(1).sha256, packed(2).pieces)), KEY)
    assert isinstance(told, HashMismatch)


def test_what_has_gone_out_is_told_to_the_last_byte(service) -> None:
    told: list[tuple[int, int | None]] = []
    volume = packed()
    assert outcome(service.url, put(volume, lambda *sent: told.append(sent)), KEY) is None
    length = sum(memoryview(piece).nbytes for piece in volume.pieces)
    assert told[-1] == (length, length)
    assert [sent for sent, _ in told] == sorted({sent for sent, _ in told})


def test_a_key_that_was_changed_is_told_as_such(service) -> None:
    """The backend is asked first whether it has the volume, by HEAD: its answer has no body that says why."""
    told = outcome(service.url, put(packed()), "a key that was changed")
    assert isinstance(told, Unauthorized)
    assert "key" in told.message


def test_an_upload_that_is_ended_leaves_the_rest_here(service) -> None:
    """Ended by what it returns, once the first piece is on its way; the body has no end of its own."""
    told: list[int] = []

    def pieces():
        while True:
            yield b"x" * 65536

    def ask(transport: BackendTransport, done, error) -> None:
        endless = PackedVolume("ab" * 32, pieces())
        transport._upload = lambda path, volume: HttpRequest("PUT", path, volume.pieces)
        end = transport.put_volume(endless, done, error, lambda sent, _total: (told.append(sent), end()))

    assert outcome(service.url, ask, KEY).code == "connection_lost"
    assert len(told) == 1


def test_compressed_volume_is_the_same_volume() -> None:
    volume = packed()
    sent = b"".join(gzipped_nrrd(volume.pieces))
    header, _, body = sent.partition(b"\n\n")
    assert b"encoding: gzip" in header
    assert gzip.decompress(body) == bytes(volume.pieces[1])
    reference = encode_nrrd(a_volume().to_nrrd(), compress=True)
    assert reference.partition(b"\n\n")[0] == header


def test_a_turn_is_read_to_its_end_and_again_from_the_middle(service) -> None:
    events: list[Event] = []
    body = service.ask("Hello?")
    outcome(service.url, lambda one, done, error: one.start_turn(body, events.append, done, error), KEY)
    assert isinstance(events[-1].payload, Answer)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    again: list[Event] = []
    turn = body["vilam3"]["turn_id"]
    outcome(service.url, lambda one, done, error: one.resume_turn(turn, 1, again.append, done, error), KEY)
    assert again == events[1:]


def test_what_is_not_there_is_not_found(service) -> None:
    told = outcome(service.url, lambda one, done, error: one.get_image("0" * 64, done, error), KEY)
    assert told.code == "image_unknown"
    told = outcome(service.url, lambda one, done, error: one.get_result("0" * 32, done, error), KEY)
    assert told.code == "result_unknown"


def test_an_event_that_cannot_be_read_ends_the_answer_with_an_error(server: AnsweringServer) -> None:
    chunk = b'data: {"vilam3": {"type": "text", "turn_id": "t", "sequence": 1, "delta": 7}}\n\n'
    server.say(200, chunk)
    told = outcome(server.url, lambda one, done, error: one.start_turn({}, lambda _: None, done, error))
    assert isinstance(told, InvalidRequest)


def test_requests_that_still_run_are_told_when_the_connection_is_closed(silent_url: str) -> None:
    def ask(transport: BackendTransport, done, error) -> None:
        transport.status(done, error)
        asyncio.get_running_loop().call_later(0.2, transport.close)

    told = outcome(silent_url, ask)
    assert isinstance(told, ConnectionLost)
    assert told.code == "connection_lost"
