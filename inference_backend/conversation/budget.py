"""Fitting a conversation into the model's context: the oldest turns give way, the newest never does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inference_backend.conversation.interfaces import LanguageModel, Message, PreparedPrompt
from inference_backend.conversation.prompting import compose, turns
from VILAM3SlicerLib.protocol.errors import TooLarge


@dataclass(frozen=True)
class FittedPrompt:
    """Messages that fit, their prompt, the room left for the reply, and how many old turns were dropped."""

    messages: list[Message]
    prompt: PreparedPrompt
    reply_tokens: int
    dropped_turns: int


async def fit(
    model: LanguageModel, conversation: Sequence[Message], cards: str, modality: str, reply_tokens: int
) -> FittedPrompt:
    """Drop the fewest oldest turns so that the prompt and a reply fit the model's context.

    ``reply_tokens`` is what the reply may take; it is cut to a quarter of the context at most.

    Raises:
        TooLarge: the newest turn alone is too long.
    """
    window = model.description.context_length
    reserved = min(reply_tokens, window // 4)
    kept = turns(conversation)
    total = len(kept)
    while kept:
        messages = compose([message for turn in kept for message in turn], cards, modality)
        prompt = await model.prepare(messages)
        if prompt.tokens + reserved <= window:
            return FittedPrompt(messages, prompt, reserved, total - len(kept))
        excess = prompt.tokens
        kept = kept[1:]
    raise TooLarge(
        f"The question with its images and experts' results takes {excess} of the model's {window} tokens.",
        "Ask a shorter question, or send fewer images.",
    )
