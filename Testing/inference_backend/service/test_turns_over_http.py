"""Asking over real HTTP: streams, replays, stopping, queues, and clients that misbehave."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from inference_backend.service.settings import Clocks, Limits
from Testing.inference_backend.service.running import KEY, RunningService, error_of, read_events, running
from VILAM3SlicerLib.protocol.errors import ModelError
from VILAM3SlicerLib.protocol.events import Answer, Event, Failed, Heartbeat, Notice, Queued, Stopped, Text


def numbers(events: list[Event]) -> list[int]:
    return [event.sequence for event in events]


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_a_question_goes_through_the_expert_to_its_answer(service: RunningService) -> None:
    events = service.events(service.ask("Segment the lungs."))
    assert numbers(events) == list(range(1, len(events) + 1))
    kinds = [event.payload.type for event in events if event.payload.type != "text"]
    assert kinds == ["prompt", "expert_called", "expert_progress", "expert_result", "prompt", "answer"]
    final = events[-1].payload
    assert isinstance(final, Answer)
    assert final.text == "The lungs are shown."


def test_events_read_again_are_the_same_from_any_number_on(service: RunningService) -> None:
    body = service.ask("Segment the lungs.")
    events = service.events(body)
    turn_id = body["vilam3"]["turn_id"]
    assert service.replay(turn_id) == events
    for after in (0, 1, len(events) - 1, len(events), len(events) + 5):
        assert service.replay(turn_id, after) == events[after:]
    assert error_of(service.http.get(f"/v1/turns/{turn_id}/events", params={"after": -1}))[0] == 422
    assert error_of(service.http.get(f"/v1/turns/{uuid.uuid4()}/events")) == (404, "turn_unknown")


def test_a_cut_connection_does_not_stop_the_turn_and_it_can_be_resumed(service: RunningService) -> None:
    body = service.ask("Segment the lungs, and be quick.")
    service.model.pause = 0.2
    with service.stream(body) as response:
        first = next(read_events(response))
    service.model.pause = 0.05
    rest = service.replay(body["vilam3"]["turn_id"], first.sequence)
    assert numbers([first, *rest]) == list(range(1, len(rest) + 2))
    assert isinstance(rest[-1].payload, Answer)


def test_stop_ends_the_turn_within_a_second_and_frees_the_model(service: RunningService) -> None:
    body = service.ask("slow, please")
    with service.stream(body) as response:
        events = read_events(response)
        while not isinstance(next(events).payload, Text):
            pass
        since = time.monotonic()
        stop = service.http.post(f"/v1/turns/{body['vilam3']['turn_id']}/cancel")
        assert stop.status_code == 202
        rest = list(events)
    assert time.monotonic() - since < 1
    assert rest[-1].payload == Stopped("Stopped.")
    assert service.model.generating == 0
    again = service.http.post(f"/v1/turns/{body['vilam3']['turn_id']}/cancel")
    assert again.status_code == 202
    assert error_of(service.http.post("/v1/turns/unknown/cancel")) == (404, "turn_unknown")
    assert isinstance(service.events(service.ask("Hello"))[-1].payload, Answer)


def test_an_unforeseen_error_ends_the_turn_with_a_failure_and_the_service_lives_on(
    service: RunningService,
) -> None:
    failure = service.events(service.ask("explode"))[-1].payload
    assert isinstance(failure, Failed)
    assert failure.error.code == "internal"
    assert "explode" not in failure.error.message
    assert isinstance(service.events(service.ask("Hello"))[-1].payload, Answer)


def test_a_turn_id_is_used_once(service: RunningService) -> None:
    body = service.ask("Hello")
    service.events(body)
    assert error_of(service.http.post("/v1/chat/completions", json=body)) == (409, "turn_exists")


def test_silence_is_filled_with_heartbeats_that_are_not_kept(tmp_path: Path) -> None:
    with running(tmp_path, clocks=Clocks(heartbeat=0.1)) as service:
        service.model.pause = 0.35
        body = service.ask("Hello")
        events = service.events(body)
        beats = [event for event in events if isinstance(event.payload, Heartbeat)]
        kept = [event for event in events if not isinstance(event.payload, Heartbeat)]
        assert len(beats) >= 4
        assert service.replay(body["vilam3"]["turn_id"]) == kept
        assert numbers(events) == sorted(numbers(events))


def test_a_turn_that_nobody_reads_is_cancelled_also_when_it_waits(tmp_path: Path) -> None:
    with running(tmp_path, clocks=Clocks(unread=0.5)) as service:
        bodies = [service.ask("slow"), service.ask("slow")]
        for body in bodies:
            with service.stream(body) as response:
                next(read_events(response))
        wait_for(lambda: service.model.generating == 0)
        for body in bodies:
            final = service.replay(body["vilam3"]["turn_id"])[-1].payload
            assert isinstance(final, Stopped)
            assert "Nobody read" in final.reason


def test_a_reader_that_stalls_counts_as_nobody(tmp_path: Path) -> None:
    """The socket's buffers are kept small, so that what is not read holds up the service's sending."""
    with running(tmp_path, clocks=Clocks(unread=0.7, heartbeat=0.2)) as service:
        service.model.word = "word " * 20_000
        service.model.pause = 0.01
        body = service.ask("slow")
        stalled = socket.socket()
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.connect(("127.0.0.1", int(service.url.rsplit(":", 1)[1])))
        content = service.http.build_request("POST", "/v1/chat/completions", json=body).read()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
        length = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        stalled.sendall((head + length).encode() + content)
        wait_for(lambda: service.model.generating == 1)
        wait_for(lambda: service.model.generating == 0)
        stalled.close()
        final = service.replay(body["vilam3"]["turn_id"])[-1].payload
        assert isinstance(final, Stopped)
        assert "Nobody read" in final.reason


def test_one_turn_runs_at_a_time_and_waiting_ones_are_told_their_place(service: RunningService) -> None:
    service.model.most_at_once = 0
    bodies = [service.ask("Hello", session=name) for name in ("a", "a", "b", "c")]
    with ThreadPoolExecutor(4) as pool:
        turns = list(pool.map(service.events, bodies))
    assert service.model.most_at_once == 1
    assert all(isinstance(turn[-1].payload, Answer) for turn in turns)
    queued = [[event.payload for event in turn if isinstance(event.payload, Queued)] for turn in turns]
    places = [[payload.position for payload in payloads] for payloads in queued]
    assert sorted(max(place, default=0) for place in places) == [0, 1, 2, 3]
    assert all(place == sorted(place, reverse=True) for place in places)


def test_a_full_queue_says_when_to_try_again(tmp_path: Path) -> None:
    with running(tmp_path, limits=Limits(waiting_turns=1)) as service:
        streams = [service.stream(service.ask("slow")) for _ in range(2)]
        for stream in streams:
            next(read_events(stream.__enter__()))
        refused = service.http.post("/v1/chat/completions", json=service.ask("Hello"))
        assert error_of(refused) == (503, "busy")
        assert int(refused.headers["retry-after"]) > 0
        for stream in streams:
            stream.__exit__(None, None, None)


def test_ended_turns_are_forgotten_when_there_are_many(tmp_path: Path) -> None:
    with running(tmp_path, limits=Limits(kept_turns=3)) as service:
        service.model.pause = 0
        bodies = [service.ask("Hello") for _ in range(5)]
        for body in bodies:
            service.events(body)
        ids = [body["vilam3"]["turn_id"] for body in bodies]
        assert error_of(service.http.get(f"/v1/turns/{ids[1]}/events")) == (404, "turn_unknown")
        assert service.replay(ids[4])


def test_a_question_waits_for_a_model_that_is_being_loaded(tmp_path: Path) -> None:
    with running(tmp_path) as service, ThreadPoolExecutor(1) as pool:
        service.model.readiness = "loading"
        service.model.settled.clear()
        turn = pool.submit(service.events, service.ask("Hello"))
        assert service.http.get("/healthz").json() == {"status": "ok"}
        status = service.http.get("/v1/status").json()
        assert (status["readiness"], status["model"]) == ("loading", None)
        assert service.http.get("/v1/models").json()["data"] == []
        time.sleep(0.3)
        service.model.readiness = "ready"
        service.loop.call_soon_threadsafe(service.model.settled.set)
        events = turn.result(10)
        assert isinstance(events[0].payload, Notice)
        assert isinstance(events[-1].payload, Answer)


@pytest.mark.parametrize("stream", [True, False])
def test_a_model_that_failed_is_told_with_what_to_do(tmp_path: Path, stream: bool) -> None:
    with running(tmp_path) as service:
        service.model.readiness = "failed"
        service.model.problem = ModelError("The model's process ended 5 times.", "Start the backend again.")
        body = {**service.ask("Hello"), "stream": stream}
        if stream:
            failure = service.events(body)[-1].payload
            assert isinstance(failure, Failed)
            assert failure.error.hint == "Start the backend again."
        else:
            assert error_of(service.http.post("/v1/chat/completions", json=body)) == (503, "model_failed")
