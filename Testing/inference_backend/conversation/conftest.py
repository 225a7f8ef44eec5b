"""A language model that says what it is told to, and experts that return what they are told to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from inference_backend.conversation.interfaces import (
    ExpertCall,
    ExpertOutcome,
    ExpertStep,
    Message,
    PreparedPrompt,
    ReplyEnd,
    Sampling,
)
from inference_backend.conversation.model_cards import VISTA3D, ModelCard
from VILAM3SlicerLib.protocol.content_hash import content_hash
from VILAM3SlicerLib.protocol.errors import ExpertError
from VILAM3SlicerLib.protocol.messages import ModelDescription


class ScriptedModel:
    """Gives the replies of a script in turn; a token is a word, an image 16 tokens."""

    def __init__(self, *replies: str, context_length: int = 1000) -> None:
        self._replies = list(replies)
        self.seen: list[list[Message]] = []
        self.description = ModelDescription(
            "scripted", "vicuna_v1", 16, 224, context_length, is_demo=True, device="cpu", dtype="float32"
        )

    async def prepare(self, messages: Sequence[Message]) -> PreparedPrompt:
        tokens = sum(len(message.text.split()) + 16 * len(message.images) for message in messages)
        images = tuple(b"seen " + image for message in messages for image in message.images)
        return PreparedPrompt("\n".join(message.text for message in messages), tokens, images)

    async def reply(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str | ReplyEnd]:
        self.seen.append(list(messages))
        words = self._replies.pop(0).split(" ")
        for index, word in enumerate(words):
            yield word if index == 0 else f" {word}"
        yield ReplyEnd("stop", 10, len(words))


class ScriptedExperts:
    """Offers the given cards; a call returns the outcome of its expert or raises it."""

    def __init__(self, cards: Sequence[ModelCard], outcome: ExpertOutcome | ExpertError) -> None:
        self._cards = cards
        self._outcome = outcome
        self.calls: list[ExpertCall] = []

    def offered(self) -> Sequence[ModelCard]:
        return self._cards

    def version(self, expert: str) -> str:
        return f"{expert} 1.0"

    async def run(self, call: ExpertCall) -> AsyncIterator[ExpertStep | ExpertOutcome]:
        self.calls.append(call)
        yield ExpertStep(0.5, "half way")
        if isinstance(self._outcome, ExpertError):
            raise self._outcome
        yield self._outcome


class KeptImages(dict[str, bytes]):
    """An image store in memory."""

    def keep(self, png: bytes) -> str:
        self[content_hash(png)] = png
        return content_hash(png)


LIVER = ExpertOutcome(
    version="1.0",
    seconds=2.0,
    feedback_text="The results are <image>. The colors in this image describe red: liver. ",
    feedback_image=b"overlay",
    result_id="result",
)


@pytest.fixture
def scripted_model() -> type[ScriptedModel]:
    return ScriptedModel


@pytest.fixture
def kept_images() -> KeptImages:
    return KeptImages()


@pytest.fixture
def liver_experts() -> ScriptedExperts:
    return ScriptedExperts([VISTA3D], LIVER)


@pytest.fixture
def failing_experts() -> ScriptedExperts:
    return ScriptedExperts([VISTA3D], ExpertError("The volume has two slices."))
