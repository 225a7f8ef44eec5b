"""Events and errors on the wire, and the decoding of event streams."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from VILAM3SlicerLib.protocol import events
from VILAM3SlicerLib.protocol.codec import from_json, to_json
from VILAM3SlicerLib.protocol.errors import (
    Busy,
    CheckpointError,
    InvalidRequest,
    VilaM3Error,
    error_from_json,
)
from VILAM3SlicerLib.protocol.event_stream import EventStreamDecoder, events_in
from VILAM3SlicerLib.protocol.events import Event, event_from_json, event_to_json
from VILAM3SlicerLib.protocol.messages import IDENTITY, BackendStatus, TurnContext, ViewGeometry

RESULT = events.ExpertResult(
    call_id="c",
    expert="CT_TISSUE",
    version="1",
    arguments="lungs",
    seconds=1.5,
    feedback_text="The results are",
    result_id="r",
    segments=(events.SegmentInfo("left lung", (1,), "left lung", 12, 0.5, (1.0, -2.0, 3.0)),),
    legend=(events.LegendEntry("red", (1.0, 0.0, 0.0), "left lung"),),
)


@pytest.mark.parametrize(
    "payload",
    [RESULT, events.Queued(2), events.Failed(Busy("full", "wait").body), events.Heartbeat()],
    ids=lambda payload: str(payload.type),
)
def test_events_survive_the_wire(payload: events.Payload) -> None:
    event = Event("turn", 7, payload)
    assert event_from_json(json.loads(json.dumps(event_to_json(event)))) == event


def test_events_of_a_later_version_are_passed_over() -> None:
    assert event_from_json({"turn_id": "t", "sequence": 1, "type": "hologram"}) is None


def test_turn_context_and_status_survive_the_wire() -> None:
    view = ViewGeometry("as_seen", "axial", 512, 400, IDENTITY, 400, 50, "hash")
    for value in (TurnContext("t", "s", "hash", "CT", (view,)), BackendStatus(1, "loading")):
        assert from_json(type(value), json.loads(json.dumps(to_json(value)))) == value


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"turn_id": None}, "TurnContext.turn_id"),
        ({"views": [{"mode": "as_seen"}]}, r"views\[0\].plane is missing"),
        ({"views": {}}, "TurnContext.views"),
        ({"volume": 5}, "TurnContext.volume"),
    ],
)
def test_malformed_values_are_refused_by_name(change: dict[str, object], names: str) -> None:
    with pytest.raises(InvalidRequest, match=names):
        from_json(TurnContext, {"turn_id": "t", "session": "s", **change})


@given(st.lists(st.integers(1, 40), max_size=30))
def test_a_stream_cut_anywhere_gives_the_same_events(cuts: list[int]) -> None:
    sent = [Event("t", 1, events.Text(0, "größer\n\nals")), Event("t", 2, RESULT)]
    chunks = [json.dumps({"choices": [], "vilam3": event_to_json(event)}) for event in sent]
    stream = "".join(f"id: 1\ndata: {chunk}\n\n" for chunk in [*chunks, '{"choices": []}', "[DONE]"])
    data, decoder, received = stream.encode(), EventStreamDecoder(), []
    for cut in [*cuts, len(data)]:
        received += events_in(decoder, data[:cut])
        data = data[cut:]
    assert received == sent


def test_stream_with_comments_and_carriage_returns_is_understood() -> None:
    decoder = EventStreamDecoder()
    assert list(decoder.feed(b": ping\r\n\r\ndata: one\r\ndata: two\r\n\r\nevent: x\r\n\r\n")) == ["one\ntwo"]


def test_errors_keep_their_class_code_and_hint_over_the_wire() -> None:
    error = error_from_json(CheckpointError("No weights.", "Run doctor.").body.to_json())
    assert type(error) is CheckpointError
    assert (error.code, error.message, error.hint) == ("checkpoint_unusable", "No weights.", "Run doctor.")


@pytest.mark.parametrize("body", [{}, {"error": "text"}, {"error": {}}, {"detail": "other"}])
def test_any_error_body_gives_a_message(body: dict[str, object]) -> None:
    error = error_from_json(body)
    assert type(error) is VilaM3Error
    assert error.message


def test_protocol_needs_the_standard_library_only(repository: Path) -> None:
    for path in (repository / "VILAM3Slicer/VILAM3SlicerLib/protocol").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            roots = {name.split(".")[0] for name in names}
            assert roots <= {"VILAM3SlicerLib", "__future__", *sys.stdlib_module_names}, path.name


def test_half_characters_of_a_stream_become_question_marks_and_whole_ones_stay():
    words = "half \\ud800 pair, whole \\ud83d\\ude00, \\ude00"
    chunk = f'{{"vilam3": {{"turn_id": "t", "sequence": 1, "type": "text", "step": 0, "delta": "{words}"}}}}'
    (event,) = events_in(EventStreamDecoder(), f"data: {chunk}\n\n".encode())
    assert event.payload.delta == "half ? pair, whole 😀, ?"
