"""The whole service with real child processes behind it: what a person meets when one of them is killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference_backend.imaging.volume import Volume
from inference_backend.runtime.expert_process import ExpertProcess
from inference_backend.runtime.model_process import ModelProcess
from inference_backend.runtime.supervisor import RestartPolicy
from inference_backend.runtime.watchdog import SilenceLimits
from inference_backend.store.store import Store
from Testing.inference_backend.runtime.workers import (
    CrampedExperts,
    SlowModel,
    ThresholdExperts,
    TroubledModel,
)
from Testing.inference_backend.service.running import RunningService, a_volume, read_events, running
from VILAM3SlicerLib.protocol.events import (
    Answer,
    Event,
    ExpertFailed,
    ExpertProgress,
    ExpertResult,
    Failed,
    Stopped,
    Text,
)
from VILAM3SlicerLib.protocol.nrrd import decode_nrrd

QUICK = RestartPolicy(first_pause=0.05, silence=SilenceLimits(working=3.0))


def processes(store: Store) -> tuple[Any, Any]:
    return ModelProcess(SlowModel, policy=QUICK), ExpertProcess(ThresholdExperts, store, policy=QUICK)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with running(tmp_path_factory.mktemp("store"), backends=processes) as started:
        yield started


def until(events: Iterator[Event], kind: type) -> Event:
    return next(event for event in events if isinstance(event.payload, kind))


def test_an_expert_reads_the_volume_and_its_labelmap_comes_back_on_the_same_grid(
    service: RunningService,
) -> None:
    volume = a_volume()
    assert service.put(volume).status_code == 201
    events = service.events(service.ask("Segment the lungs.", volume=volume.content_hash, modality="CT"))
    result = next(event.payload for event in events if isinstance(event.payload, ExpertResult))
    assert isinstance(events[-1].payload, Answer)
    labelmap = Volume.from_nrrd(decode_nrrd(service.http.get(f"/v1/results/{result.result_id}").content))
    np.testing.assert_array_equal(labelmap.voxels, volume.voxels > 0)
    np.testing.assert_array_equal(labelmap.ijk_to_ras, volume.ijk_to_ras)
    assert not list((service.folder / "results").glob("*.partial"))


def test_experts_that_cannot_run_are_listed_with_the_reason_and_not_offered(service: RunningService) -> None:
    status = service.http.get("/v1/status").json()
    assert {expert["name"]: expert["unavailable_because"] for expert in status["experts"]} == {
        "CT_TISSUE": "",
        "CXR": "No weights.",
    }
    assert [card.name for card in service.experts.offered()] == ["CT_TISSUE"]


def test_a_model_killed_in_mid_answer_is_told_at_once_and_answers_again(service: RunningService) -> None:
    with service.stream(service.ask("slow")) as response:
        events = read_events(response)
        until(events, Text)
        killed, since = service.model.pid, time.monotonic()
        os.kill(killed, signal.SIGKILL)
        failure = until(events, Failed).payload
    assert time.monotonic() - since < 2
    assert isinstance(failure, Failed)
    assert failure.error.code == "model_failed"
    assert "again" in failure.error.hint
    assert isinstance(service.events(service.ask("Hello"))[-1].payload, Answer)
    assert service.model.pid != killed


def deaf_expert(service: RunningService, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A question whose expert neither ends nor listens."""
    volume = a_volume()
    service.put(volume)
    body = service.ask("Segment everything", volume=volume.content_hash, modality="CT")
    offered = service.experts.run

    def run(call: Any) -> Any:
        object.__setattr__(call, "arguments", "everything")
        return offered(call)

    monkeypatch.setattr(service.experts, "run", run)
    return body


@pytest.mark.parametrize(
    ("is_killed", "said"), [(True, "ended unexpectedly"), (False, "no sign of life for 3 s")]
)
def test_an_expert_that_is_killed_or_hangs_is_told_to_the_model_which_goes_on(
    service: RunningService, monkeypatch: pytest.MonkeyPatch, is_killed: bool, said: str
) -> None:
    body = deaf_expert(service, monkeypatch)
    with service.stream(body) as response:
        events = read_events(response)
        until(events, ExpertProgress)
        model = service.model.pid
        if is_killed:
            os.kill(service.experts.pid, signal.SIGKILL)
        failure = until(events, ExpertFailed).payload
        assert isinstance(failure, ExpertFailed)
        assert failure.error.code == "expert_failed"
        assert said in failure.error.message
        assert until(events, Answer)
    assert service.model.pid == model


@pytest.mark.parametrize(
    ("trouble", "code", "is_replaced"),
    [
        ("memory", "out_of_memory", False),
        ("numbers", "not_finite", False),
        ("device", "device_lost", True),
        ("hang", "model_failed", True),
    ],
)
def test_trouble_in_mid_answer_is_told_and_the_next_question_is_answered(
    tmp_path: Path, trouble: str, code: str, is_replaced: bool
) -> None:
    def troubled(store: Store) -> tuple[Any, Any]:
        return ModelProcess(TroubledModel, policy=QUICK), ExpertProcess(ThresholdExperts, store, policy=QUICK)

    with running(tmp_path, backends=troubled) as service:
        assert isinstance(service.events(service.ask("Hello"))[-1].payload, Answer)
        before, since = service.model.pid, time.monotonic()
        *_, word, failure = (event.payload for event in service.events(service.ask(trouble)))
        assert time.monotonic() - since < 8
        assert word == Text(0, "word ")
        assert isinstance(failure, Failed)
        assert failure.error.code == code
        assert failure.error.message
        assert failure.error.hint
        assert isinstance(service.events(service.ask("Hello"))[-1].payload, Answer)
        assert (service.model.pid != before) == is_replaced


def test_stop_ends_an_expert_that_does_not_listen_and_leaves_the_model_alone(
    service: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = deaf_expert(service, monkeypatch)
    with service.stream(body) as response:
        events = read_events(response)
        until(events, ExpertProgress)
        model, expert, since = service.model.pid, service.experts.pid, time.monotonic()
        service.http.post(f"/v1/turns/{body['vilam3']['turn_id']}/cancel")
        assert until(events, Stopped)
        assert time.monotonic() - since < 1
    monkeypatch.undo()
    volume = a_volume().content_hash
    again = service.events(service.ask("Segment the lungs.", volume=volume, modality="CT"))
    assert any(isinstance(event.payload, ExpertResult) for event in again)
    assert service.model.pid == model
    assert service.experts.pid != expert
    assert not list((service.folder / "results").glob("*.partial"))


def test_an_expert_without_room_gets_what_the_model_can_do_without_and_tries_again(tmp_path: Path) -> None:
    asked: list[str] = []

    async def make_room() -> None:
        asked.append("room")

    def cramped(store: Store) -> tuple[Any, Any]:
        return ModelProcess(SlowModel), ExpertProcess(CrampedExperts, store, make_room=make_room)

    with running(tmp_path, backends=cramped) as service:
        volume = a_volume()
        service.put(volume)
        events = service.events(service.ask("Segment the lungs.", volume=volume.content_hash, modality="CT"))
    assert any(isinstance(event.payload, ExpertResult) for event in events)
    assert asked == ["room"]
