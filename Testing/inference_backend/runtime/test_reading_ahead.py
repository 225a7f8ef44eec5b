"""What conversations begin with has been read before the first one comes, and holds up nobody."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from inference_backend.conversation.interfaces import Message
from inference_backend.conversation.model_cards import compose_cards
from inference_backend.runtime.expert_process import ExpertProcess
from inference_backend.runtime.model_process import ModelProcess
from inference_backend.runtime.supervisor import RestartPolicy
from inference_backend.serve import what_conversations_begin_with
from inference_backend.store.store import Store
from inference_backend.vila_m3.tokenizer import open_tokenizer
from Testing.inference_backend.runtime.workers import LoadTinyModel, ReadingModel, ThresholdExperts
from Testing.inference_backend.service.running import a_volume, running
from VILAM3SlicerLib.protocol.errors import ExpertError
from VILAM3SlicerLib.protocol.events import Answer

QUICK = RestartPolicy(first_pause=0.05)
QUESTION = (Message("user", "What do you see?"),)


async def cards() -> Sequence[Message]:
    return (Message("user", "The cards."),)


async def none() -> Sequence[Message]:
    raise ExpertError("No expert can run.")


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.02)


def run(test: Callable[[ModelProcess], Awaitable[None]]) -> None:
    async def whole() -> None:
        model = ModelProcess(ReadingModel, policy=QUICK)
        try:
            await test(model)
        finally:
            await model.stop()

    asyncio.run(asyncio.wait_for(whole(), 60))


def passes_in(file: Path) -> list[int]:
    return [int(line.split()[1]) for line in file.read_text().splitlines()] if file.exists() else []


def test_the_first_question_finds_the_cards_read(golden: Path, tmp_path: Path) -> None:
    checkpoint, passes = golden / "s3_vicuna3b" / "checkpoint", tmp_path / "passes"

    def processes(store: Store) -> tuple[Any, Any]:
        experts = ExpertProcess(ThresholdExperts, store, policy=QUICK)
        model = ModelProcess(LoadTinyModel(checkpoint, passes), policy=QUICK)
        model.reads_ahead(lambda: what_conversations_begin_with(experts))
        return model, experts

    with running(tmp_path / "store", backends=processes) as service:
        end = time.monotonic() + 60
        while not passes_in(passes) and time.monotonic() < end:
            time.sleep(0.05)
        known = len(open_tokenizer(checkpoint / "llm").encode(compose_cards(service.experts.offered())))
        while sum(passes_in(passes)) < known and time.monotonic() < end:
            time.sleep(0.05)
        ahead = len(passes_in(passes))
        volume = a_volume()
        service.put(volume)
        body = {**service.ask("Segment the lungs.", volume=volume.content_hash), "max_tokens": 3}
        assert isinstance(service.events(body)[-1].payload, Answer)
    read = passes_in(passes)
    assert sum(read[:ahead]) >= known
    assert max(read[ahead:]) < known / 2, "the cards were read again"


def test_a_question_stops_the_reading_at_once_and_is_answered() -> None:
    async def test(model: ModelProcess) -> None:
        model.reads_ahead(cards)
        await model.start()
        await model.until_ready()
        await asyncio.sleep(0.3)  # it reads meanwhile, and would for ever
        since = time.monotonic()
        assert (await model.prepare(QUESTION)).tokens == 1
        assert time.monotonic() - since < 1
        assert (await model.prepare(QUESTION)).tokens == 1

    run(test)


def test_a_process_that_was_restarted_reads_ahead_again() -> None:
    async def test(model: ModelProcess) -> None:
        asked = []

        async def beginning() -> Sequence[Message]:
            asked.append(1)
            return await cards()

        model.reads_ahead(beginning)
        await model.start()
        await model.until_ready()
        before = model.pid
        os.kill(before or 0, signal.SIGKILL)
        await until(lambda: model.pid != before and model.readiness == "ready")
        await until(lambda: len(asked) == 2)
        assert (await model.prepare(QUESTION)).tokens == 1

    run(test)


@pytest.mark.parametrize("beginning", [none, cards])
def test_where_nothing_can_be_read_ahead_questions_are_answered_all_the_same(beginning: Any) -> None:
    async def test(model: ModelProcess) -> None:
        model.reads_ahead(beginning)
        await model.start()
        assert (await model.prepare(QUESTION)).text == "What do you see?"

    run(test)
