"""Replies come piece by piece, whole characters only, and end when they should."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from inference_backend.vila_m3.generation import Reply
from inference_backend.vila_m3.messages import Message
from inference_backend.vila_m3.model import VilaM3Model
from inference_backend.vila_m3.sampling import GenerationSettings, Sampler
from inference_backend.vila_m3.text_stream import TextStream
from inference_backend.vila_m3.tokenizer import Tokenizer, clean_up_spaces
from VILAM3SlicerLib.protocol.errors import InvalidRequest


class ByteTokenizer:
    """One token for each byte of UTF-8."""

    bos_id = None
    vocabulary_size = 256

    def __init__(self, cleans_up_spaces: bool = False) -> None:
        self.cleans_up_spaces = cleans_up_spaces

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        text = self.decode_raw(ids)
        return clean_up_spaces(text) if self.cleans_up_spaces else text

    def decode_raw(self, ids: Sequence[int]) -> str:
        return bytes(ids).decode(errors="replace")

    def has_token(self, token: str) -> bool:
        return False


def pieces_of(text: str, tokenizer: Tokenizer, stop_strings: Sequence[str] = ()) -> list[str]:
    """The pieces that a stream of the text's tokens shows."""
    stream = TextStream(tokenizer, stop_strings)
    pieces = []
    for token_id in tokenizer.encode(text):
        pieces.append(stream.push(token_id))
        if stream.stopped:
            return pieces
    return [*pieces, stream.finish()]


def test_no_piece_splits_a_character() -> None:
    text = "Leber 肝臓 🫁 naïve ≥"
    pieces = pieces_of(text, ByteTokenizer())
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_text_comes_as_soon_as_it_is_certain() -> None:
    assert pieces_of("ab c", ByteTokenizer()) == ["a", "b", "", " c", ""]


def test_broken_bytes_at_the_end_are_still_reported() -> None:
    stream = TextStream(ByteTokenizer())
    assert [stream.push(byte) for byte in b"ok\xf0\x9f"] == ["o", "k", "", ""]
    assert stream.finish() == "\ufffd"


def test_broken_bytes_in_the_middle_do_not_hold_the_text_back() -> None:
    stream = TextStream(ByteTokenizer())
    assert "".join(stream.push(byte) for byte in b"a\xf0b") == "a\ufffdb"


@pytest.mark.parametrize("stop", ["</s>", "STOP", "\n\n"])
def test_no_part_of_a_stop_string_is_shown(stop: str) -> None:
    pieces = pieces_of(f"some <text> with S{stop}and more", ByteTokenizer(), (stop,))
    assert "".join(pieces) == "some <text> with S"


def test_what_only_looks_like_a_stop_string_is_shown() -> None:
    assert "".join(pieces_of("a </b> </", ByteTokenizer(), ("</s>",))) == "a </b> </"


def test_overlapping_beginnings_of_a_stop_string_are_followed() -> None:
    assert "".join(pieces_of("aaab!", ByteTokenizer(), ("aab",))) == "a"


def test_spaces_around_the_reply_are_left_out() -> None:
    assert "".join(pieces_of("  two \n words \n ", ByteTokenizer())) == "two \n words"


def test_cleaned_pieces_join_to_the_cleaned_text() -> None:
    chance = random.Random(3)
    tokenizer = ByteTokenizer(cleans_up_spaces=True)
    for _ in range(2000):
        text = "".join(chance.choices(" '.,?!ntmsver xé\n", k=chance.randint(0, 20)))
        assert "".join(pieces_of(text, tokenizer)) == clean_up_spaces(text).strip()


def test_real_tokenizers_stream_what_they_decode(tokenizer: Tokenizer) -> None:
    text = "The liver 肝臓 isn't enlarged , 🫁 ok ."
    ids = tokenizer.encode(text)
    stream = TextStream(tokenizer)
    pieces = [stream.push(token_id) for token_id in ids]
    assert not any("\ufffd" in piece for piece in pieces)
    assert "".join([*pieces, stream.finish()]) == tokenizer.decode(ids).strip()


@pytest.fixture
def embeds(model: VilaM3Model) -> torch.Tensor:
    return model.inputs_embeds(model.input_ids(model.prompt([Message("user", "What is CT?")])))


def long_reply(model: VilaM3Model, embeds: torch.Tensor, is_cancelled: Callable[[], bool]) -> Reply:
    """A reply of 200 tokens: the end tokens are kept out of it, and no id stops it."""
    settings = GenerationSettings(max_new_tokens=200, min_new_tokens=200, temperature=1.5, seed=1)
    return Reply(model, embeds, settings, is_cancelled)


def test_reply_is_cancelled_between_tokens(model: VilaM3Model, embeds: torch.Tensor) -> None:
    shown: list[str] = []
    reply = long_reply(model, embeds, lambda: len(shown) >= 2)
    for piece in reply:
        shown.append(piece)
    assert reply.finish_reason == "cancelled"
    assert 0 < len(reply.ids) < 200
    assert "".join(shown) == reply.text


def test_reply_cancelled_before_it_begins_is_empty(model: VilaM3Model, embeds: torch.Tensor) -> None:
    reply = long_reply(model, embeds, lambda: True)
    assert (list(reply), reply.ids, reply.finish_reason) == ([], [], "cancelled")


def test_long_prompt_is_cancelled_while_it_is_read(model: VilaM3Model) -> None:
    asked = iter([False, True])
    embeds = model.text_embeds([50] * 1500)
    reply = Reply(model, embeds, GenerationSettings(), lambda: next(asked))
    assert (list(reply), reply.finish_reason) == ([], "cancelled")


def test_leaving_the_loop_and_coming_back_goes_on(model: VilaM3Model, embeds: torch.Tensor) -> None:
    reply = long_reply(model, embeds, lambda: False)
    first = next(iter(reply))
    rest = "".join(reply)
    assert first + rest == reply.text
    assert reply.text == long_text(model, embeds)


def long_text(model: VilaM3Model, embeds: torch.Tensor) -> str:
    return "".join(long_reply(model, embeds, lambda: False))


def test_usage_counts_tokens(model: VilaM3Model, embeds: torch.Tensor) -> None:
    reply = Reply(model, embeds, GenerationSettings(max_new_tokens=5, min_new_tokens=5))
    list(reply)
    assert reply.usage.prompt_tokens == len(embeds)
    assert reply.usage.completion_tokens == len(reply.ids) <= 5


def test_text_of_a_stop_string_ends_the_reply(model: VilaM3Model, embeds: torch.Tensor) -> None:
    whole = long_text(model, embeds)
    stop = whole[20:23]
    settings = GenerationSettings(
        max_new_tokens=200, min_new_tokens=200, temperature=1.5, seed=1, stop_strings=(stop,)
    )
    reply = Reply(model, embeds, settings)
    assert "".join(reply) == whole[: whole.index(stop)].rstrip()
    assert reply.finish_reason == "stop"
    assert len(reply.ids) < 200


@pytest.mark.parametrize("ends", [[3], [3, 7], [7, 3]])
def test_every_end_token_of_the_model_ends_a_reply(
    model: VilaM3Model, embeds: torch.Tensor, monkeypatch: pytest.MonkeyPatch, ends: list[int]
) -> None:
    """A fine-tuned Llama-3 has two or three of them in generation_config.json."""
    head = model.llm.lm_head
    forward = head.forward
    bonus = torch.zeros(head.weight.shape[0])
    bonus[[3, 9]] = torch.tensor([2e6, 1e6])
    monkeypatch.setattr(head, "forward", lambda hidden: forward(hidden) + bonus)
    monkeypatch.setattr(model.llm.generation_config, "eos_token_id", ends if len(ends) > 1 else ends[0])
    reply = Reply(model, embeds, GenerationSettings(max_new_tokens=9))
    list(reply)
    assert (reply.ids, reply.finish_reason) == ([9, 9, 3], "stop")


def picks(settings: GenerationSettings, logits: Sequence[float], count: int = 200) -> list[int]:
    sampler = Sampler(settings, end_ids=(1,))
    return [sampler.pick(torch.tensor(logits)) for _ in range(count)]


def test_end_token_is_kept_out_of_the_first_tokens_only() -> None:
    assert picks(GenerationSettings(), [1.0, 9.0, 2.0], 4) == [2, 2, 1, 1]


def test_seed_repeats_a_sampled_reply() -> None:
    logits = [0.0] * 40
    seeded = GenerationSettings(temperature=1.0, top_p=1.0, seed=5)
    assert picks(seeded, logits) == picks(seeded, logits)
    assert picks(seeded, logits) != picks(replace(seeded, seed=6), logits)
    assert picks(replace(seeded, seed=None), logits) != picks(replace(seeded, seed=None), logits)


def test_top_p_and_top_k_leave_only_likely_tokens() -> None:
    logits = torch.tensor([0.4, 0.05, 0.3, 0.15, 0.1]).log().tolist()
    sampled = GenerationSettings(temperature=1.0, min_new_tokens=0, seed=2)
    assert set(picks(replace(sampled, top_p=0.6), logits)) == {0, 2}
    assert set(picks(replace(sampled, top_p=0.01), logits)) == {0}
    assert set(picks(replace(sampled, top_p=1.0, top_k=3), logits)) == {0, 2, 3}
    assert set(picks(replace(sampled, top_p=1.0, top_k=0), logits, 2000)) == {0, 1, 2, 3, 4}


def test_sampled_frequencies_follow_the_temperature() -> None:
    logits = torch.tensor([0.8, 0.0001, 0.1999]).log().tolist()
    settings = GenerationSettings(temperature=2.0, top_p=1.0, min_new_tokens=0, seed=3)
    drawn = picks(settings, logits, 4000)
    expected = (torch.tensor(logits) / 2).softmax(0)
    assert drawn.count(0) / 4000 == pytest.approx(float(expected[0]), abs=0.03)


@pytest.mark.parametrize(
    "values",
    [
        {"max_new_tokens": 0},
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"top_p": 0.0},
        {"top_k": -1},
    ],
)
def test_senseless_settings_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        GenerationSettings(**values)
