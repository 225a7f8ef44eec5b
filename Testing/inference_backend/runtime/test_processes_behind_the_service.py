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
from inference_backend.store.store import Store
from Testing.inference_backend.runtime.workers import CrampedExperts, SlowModel, ThresholdExperts
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

QUICK = RestartPolicy(first_pause=0.05)


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


def test_an_expert_killed_in_mid_work_is_told_to_the_model_which_goes_on(
    service: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = deaf_expert(service, monkeypatch)
    with service.stream(body) as response:
        events = read_events(response)
        until(events, ExpertProgress)
        model = service.model.pid
        os.kill(service.experts.pid, signal.SIGKILL)
        failure = until(events, ExpertFailed).payload
        assert isinstance(failure, ExpertFailed)
        assert failure.error.code == "expert_failed"
        assert until(events, Answer)
    assert service.model.pid == model


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
