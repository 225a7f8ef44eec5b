"""A real checkpoint in a real child process behind the real service: kept warm, killed, and asked again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inference_backend.runtime.expert_process import ExpertProcess
from inference_backend.runtime.model_process import ModelProcess
from inference_backend.runtime.supervisor import RestartPolicy
from inference_backend.runtime.watchdog import SilenceLimits
from inference_backend.store.store import Store
from Testing.inference_backend.runtime.workers import LoadTinyModel, ThresholdExperts
from Testing.inference_backend.service.running import RunningService, read_events, running
from VILAM3SlicerLib.protocol.events import Answer, Failed, Notice, Queued, Stopped, Text

QUICK = RestartPolicy(first_pause=0.05, silence=SilenceLimits(working=4.0))
HISTORY = [
    {"role": "user", "content": "What is CT?"},
    {"role": "assistant", "content": "Computed tomography."},
]


@pytest.fixture(scope="module")
def service(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    load = LoadTinyModel(golden / "s3_vicuna3b" / "checkpoint")

    def processes(store: Store) -> tuple[Any, Any]:
        return ModelProcess(load, policy=QUICK), ExpertProcess(ThresholdExperts, store, policy=QUICK)

    with running(tmp_path_factory.mktemp("store"), backends=processes) as started:
        yield started


def ask(service: RunningService, question: str, session: str = "a", tokens: int = 6) -> dict[str, Any]:
    body = service.ask(question, session)
    return {**body, "messages": [*HISTORY, *body["messages"]], "max_tokens": tokens}


def long_story(service: RunningService) -> dict[str, Any]:
    return {**ask(service, "Tell a long story.", tokens=3000), "temperature": 1.5, "top_p": 1.0}


def test_usage_is_what_the_model_read_and_wrote(service: RunningService) -> None:
    body = {**ask(service, "And MRI?"), "stream": False}
    answer = service.http.post("/v1/chat/completions", json=body).json()
    counts = answer["usage"]
    (prompt,) = [event for event in answer["vilam3"]["events"] if event["type"] == "prompt"]
    assert counts["prompt_tokens"] == prompt["tokens"]
    assert counts["completion_tokens"] == 6
    assert counts["total_tokens"] == counts["prompt_tokens"] + 6
    assert answer["choices"][0]["finish_reason"] == "length"


def test_an_answer_that_is_cut_says_so(service: RunningService) -> None:
    notices = [event.payload for event in service.events(ask(service, "And MRI?"))]
    assert [notice.code for notice in notices if isinstance(notice, Notice)] == ["reply_cut"]


def test_a_seed_repeats_an_answer_and_another_one_does_not(service: RunningService) -> None:
    def answer(seed: int) -> str:
        body = {**ask(service, "And MRI?", tokens=12), "temperature": 1.2, "seed": seed, "top_p": 1.0}
        final = service.events(body)[-1].payload
        assert isinstance(final, Answer)
        return final.text

    assert answer(5) == answer(5)
    assert len({answer(seed) for seed in (5, 6, 7)}) > 1


@pytest.mark.parametrize(
    ("number", "said", "within_s"),
    [(signal.SIGKILL, "ended unexpectedly", 5), (signal.SIGSTOP, "no sign of life for 4 s", 12)],
)
def test_a_model_that_dies_or_hangs_in_mid_answer_is_told_and_the_conversation_goes_on(
    service: RunningService, number: signal.Signals, said: str, within_s: float
) -> None:
    expected = service.events(ask(service, "And MRI?"))[-1].payload
    with service.stream(long_story(service)) as response:
        events = read_events(response)
        next(event for event in events if isinstance(event.payload, Text))
        killed, since = service.model.pid, time.monotonic()
        os.kill(killed, number)
        failure = next(event.payload for event in events if isinstance(event.payload, Failed))
    assert time.monotonic() - since < within_s
    assert said in failure.error.message
    assert "again" in failure.error.hint
    again = service.events(ask(service, "And MRI?"))[-1].payload
    assert isinstance(expected, Answer)
    assert isinstance(again, Answer)
    assert again.text == expected.text
    assert service.model.pid != killed


def test_one_persons_stop_leaves_the_others_answer_alone_and_positions_are_told(
    service: RunningService,
) -> None:
    expected = service.events(ask(service, "And MRI?", "b"))[-1].payload
    first = long_story(service)
    with service.stream(first) as told, service.stream(ask(service, "And MRI?", "b")) as waiting:
        events = read_events(told)
        next(event for event in events if isinstance(event.payload, Text))
        of_b = read_events(waiting)
        assert next(event for event in of_b if isinstance(event.payload, Queued)).payload.position == 1
        since = time.monotonic()
        service.http.post(f"/v1/turns/{first['vilam3']['turn_id']}/cancel")
        assert next(event for event in events if isinstance(event.payload, Stopped))
        answer = next(event.payload for event in of_b if isinstance(event.payload, Answer))
    assert time.monotonic() - since < 10
    assert isinstance(expected, Answer)
    assert answer.text == expected.text
