"""A model, experts and a conversation that can be steered, for tests of everything around them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from inference_backend.conversation.interfaces import (
    ExpertCall,
    ExpertOutcome,
    ExpertStep,
    Message,
    PreparedPrompt,
    ReplyEnd,
    Sampling,
)
from inference_backend.conversation.model_cards import ModelCard
from inference_backend.service.backend import Readiness
from VILAM3SlicerLib.protocol.errors import ModelError, VilaM3Error
from VILAM3SlicerLib.protocol.events import LegendEntry, SegmentInfo
from VILAM3SlicerLib.protocol.messages import ExpertDescription, ModelDescription

DESCRIPTION = ModelDescription("fake-m3", "vicuna_v1", 16, 224, 4096, True, "cpu", "float32")
CARD = ModelCard("CT_TISSUE", "CT", "segmentation", "tissues", "good", ("everything", "lungs"))


class Life:
    """Ready at once, unless told otherwise."""

    def __init__(self) -> None:
        self.readiness: Readiness = "ready"
        self.detail = ""
        self.problem: VilaM3Error | None = None
        self.settled = asyncio.Event()
        self.settled.set()

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def until_ready(self) -> None:
        await self.settled.wait()
        if self.problem is not None:
            raise self.problem


class FakeModel(Life):
    """Says what it is told to say, a word at a time; "slow" in the question makes it take its time."""

    def __init__(self) -> None:
        super().__init__()
        self.pause = 0.05
        self.word = "word "
        self.generating = 0
        self.most_at_once = 0
        self.asked: list[tuple[Message, ...]] = []

    @property
    def description(self) -> ModelDescription:
        if self.readiness != "ready":
            raise ModelError("The model is not there.")
        return DESCRIPTION

    async def prepare(self, messages: Sequence[Message]) -> PreparedPrompt:
        images = tuple(image for message in messages for image in message.images)
        return PreparedPrompt("\n".join(message.text for message in messages), 10, images)

    async def reply(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str | ReplyEnd]:
        self.asked.append(tuple(messages))
        self.generating += 1
        self.most_at_once = max(self.most_at_once, self.generating)
        try:
            for word in self._words(messages):
                await asyncio.sleep(self.pause)
                yield word
        finally:
            self.generating -= 1
        yield ReplyEnd("stop", 10, 3)

    def _words(self, messages: Sequence[Message]) -> list[str]:
        text = messages[-1].text
        if messages[-1].role == "expert":
            return ["The ", "lungs ", "are ", "shown."]
        if "explode" in text:
            raise ZeroDivisionError(text)
        if "slow" in text:
            return [self.word] * 200
        if "Segment" in text:
            return ["<CT_TISSUE(", "lungs", ")>"]
        return ["Hello ", "there."]


class FakeExperts(Life):
    """One expert that finds the lungs."""

    def offered(self) -> Sequence[ModelCard]:
        return [CARD]

    def version(self, expert: str) -> str:
        return "1"

    def descriptions(self) -> Sequence[ExpertDescription]:
        return [ExpertDescription("CT_TISSUE", "CT", "segmentation", "tissues", "1", ("everything", "lungs"))]

    async def run(self, call: ExpertCall) -> AsyncIterator[ExpertStep | ExpertOutcome]:
        yield ExpertStep(0.5, "Looking for air")
        yield ExpertOutcome(
            version="1",
            seconds=0.1,
            feedback_text="The results are <image>. The colors in this image describe red: left lung. ",
            feedback_image=call.views[0].image if call.views else None,
            segments=(SegmentInfo("left lung", (1,), "left lung", 10, 0.5, (0.0, 0.0, 0.0)),),
            legend=(LegendEntry("red", (1.0, 0.0, 0.0), "left lung"),),
        )
