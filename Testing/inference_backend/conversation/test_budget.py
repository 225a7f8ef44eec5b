"""What gives way when a conversation outgrows the context, and what never does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from inference_backend.conversation.budget import FittedPrompt, fit
from inference_backend.conversation.interfaces import Message
from inference_backend.conversation.prompting import Wording
from VILAM3SlicerLib.protocol.errors import TooLarge

CARDS = "card " * 30
QUESTION = Message("user", "newest question", (b"n",))


def turn(number: int, images: int = 1, words: int = 20) -> list[Message]:
    return [
        Message("user", f"question{number} " + "ask " * words, (b"i%d" % number,) * images),
        Message("assistant", f"answer{number} " + "say " * words),
    ]


def fitted(model: Any, *messages: Message, reply_tokens: int = 50) -> FittedPrompt:
    return asyncio.run(fit(model, messages, Wording(CARDS, "CT", layout="lines"), reply_tokens))


def kept(result: FittedPrompt, what: str) -> list[int]:
    return [number for number in range(20) if f"{what}{number} " in result.prompt.text]


def test_what_fits_stays_as_it_is(scripted_model: Any) -> None:
    conversation = [message for number in range(5) for message in turn(number)]
    result = fitted(scripted_model(context_length=1000), *conversation, QUESTION)
    assert (result.shortened_turns, result.dropped_turns) == (0, 0)
    assert len([image for message in result.messages for image in message.images]) == 6


def test_images_of_the_oldest_turns_go_first_and_their_text_stays(scripted_model: Any) -> None:
    conversation = [message for number in range(10) for message in turn(number)]
    result = fitted(scripted_model(context_length=700), *conversation, QUESTION)
    assert 0 < result.shortened_turns < 10
    assert result.dropped_turns == 0
    assert kept(result, "question") == list(range(10))
    images = [image for message in result.messages for image in message.images]
    assert images == [b"i%d" % number for number in range(result.shortened_turns, 10)] + [b"n"]
    assert result.prompt.tokens + result.reply_tokens <= 700


def test_no_more_is_taken_than_needed(scripted_model: Any) -> None:
    conversation = [message for number in range(10) for message in turn(number)]
    for window in range(300, 1000, 50):
        result = fitted(scripted_model(context_length=window), *conversation, QUESTION)
        spared = window - result.prompt.tokens - result.reply_tokens
        largest_step = 2 * 22 + 16 + 5
        assert spared >= 0
        assert spared < largest_step or not result.shortened_turns + result.dropped_turns


def test_then_the_oldest_turns_go_and_the_cards_and_the_newest_stay(scripted_model: Any) -> None:
    conversation = [message for number in range(10) for message in turn(number)]
    result = fitted(scripted_model(context_length=300), *conversation, QUESTION)
    assert result.dropped_turns > 0
    assert kept(result, "answer") == list(range(result.dropped_turns, 10))
    assert result.prompt.text.startswith(CARDS)
    assert result.messages[-1].images == (b"n",)
    assert "newest question" in result.messages[-1].text


def test_long_texts_are_abridged_with_a_sign_of_it(scripted_model: Any) -> None:
    result = fitted(scripted_model(context_length=400), *turn(0, 0, 300), QUESTION)
    assert (result.shortened_turns, result.dropped_turns) == (1, 0)
    assert result.messages[1].text.endswith("…")
    assert result.messages[1].text.startswith("answer0 say")


def test_this_turns_expert_exchange_belongs_to_the_newest_question(scripted_model: Any) -> None:
    exchange = [
        Message("assistant", "<CT(x)>"),
        Message("expert", "The results are <image>. ", (b"overlay",)),
    ]
    result = fitted(scripted_model(context_length=300), *turn(0, 1, 200), QUESTION, *exchange)
    assert result.dropped_turns + result.shortened_turns == 1
    assert [message.images for message in result.messages[-3:]] == [(b"n",), (), (b"overlay",)]


def test_a_newest_question_that_is_too_long_is_refused_not_cut(scripted_model: Any) -> None:
    with pytest.raises(TooLarge, match="of the model's 300 tokens"):
        fitted(scripted_model(context_length=300), *turn(0), Message("user", "word " * 400))


def test_few_prompts_are_tried(scripted_model: Any) -> None:
    class Counting(scripted_model):  # type: ignore[misc]
        prepared = 0

        async def prepare(self, messages: Any) -> Any:
            self.prepared += 1
            return await super().prepare(messages)

    model = Counting(context_length=1000)
    fitted(model, *[message for number in range(200) for message in turn(number)], QUESTION)
    assert model.prepared < 12
