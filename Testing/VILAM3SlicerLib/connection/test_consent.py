"""No byte of a scan goes to another machine before the person agreed, once for each address."""

from __future__ import annotations

from pathlib import Path

import pytest

from Testing.VILAM3SlicerLib.connection.conftest import AnsweringServer, outcome
from VILAM3SlicerLib.chat.interfaces import PackedVolume
from VILAM3SlicerLib.connection.address import BackendAddress, read_address
from VILAM3SlicerLib.connection.consent import CONSENT_NEEDED, RecordedConsents, consent_question
from VILAM3SlicerLib.connection.transport import BackendTransport
from VILAM3SlicerLib.protocol.errors import VilaM3Error

HERE = read_address("127.0.0.1")
THERE = read_address("https://gpu.hospital.example")
VOLUME = PackedVolume("0" * 64, (b"NRRD0004\n\n", b"voxels"))


@pytest.fixture
def consents(tmp_path: Path) -> RecordedConsents:
    return RecordedConsents(tmp_path / "new" / "consents.jsonl")


def test_this_machine_needs_no_consent_and_another_does(consents: RecordedConsents) -> None:
    consents.require(HERE)
    with pytest.raises(VilaM3Error, match=r"gpu\.hospital\.example") as raised:
        consents.require(THERE)
    assert raised.value.code == CONSENT_NEEDED


def test_consent_holds_for_one_address_and_for_the_next_slicer_too(
    consents: RecordedConsents, tmp_path: Path
) -> None:
    consents.give(THERE)
    consents.give(THERE)
    another = RecordedConsents(tmp_path / "new" / "consents.jsonl")
    another.require(THERE)
    assert len(another.all()) == 1
    for other in ("http://gpu.hospital.example", "https://gpu.hospital.example:8443", "https://gpu2"):
        assert not another.is_given(read_address(other))
    another.take_back(THERE)
    assert not consents.is_given(THERE)


@pytest.mark.parametrize("content", [b"no json\n", b"\xff\xfe", b'{"address": "https://gpu"}\n', b"7\n"])
def test_a_damaged_record_is_no_consent_and_can_be_given_again(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "consents.jsonl"
    file.write_bytes(content)
    consents = RecordedConsents(file)
    assert not consents.is_given(THERE)


def test_the_question_says_where_to_and_whether_others_can_read_it() -> None:
    assert "not encrypted" in consent_question(read_address("http://gpu"))
    question = consent_question(THERE)
    assert THERE.url in question
    assert "not encrypted" not in question


class ClosedGate:
    """As for another machine without consent, so that a server on this one can be watched."""

    def require(self, address: BackendAddress) -> None:
        raise VilaM3Error(f"Not to {address.url}.", "", CONSENT_NEEDED)


@pytest.mark.parametrize(
    "send",
    [
        lambda one, done, error: one.put_volume(VOLUME, done, error, lambda _sent, _total: None),
        lambda one, done, error: one.start_turn({"messages": []}, lambda _: None, done, error),
    ],
)
def test_without_consent_no_body_leaves(server: AnsweringServer, send) -> None:
    server.say(404, {})
    told = outcome(server.url, send, gate=ClosedGate())
    assert isinstance(told, VilaM3Error)
    assert told.code == CONSENT_NEEDED
    assert not any(server.bodies)
    assert {method for method, _ in server.requests} <= {"HEAD"}


def test_the_handshake_needs_no_consent(server: AnsweringServer) -> None:
    server.say(200, {"protocol_version": 0})
    told = outcome(server.url, BackendTransport.status, gate=ClosedGate())
    assert told.code == "wrong_version"
