"""Text to ids and back as the original's tokenizers did it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from inference_backend.vila_m3.loading import load_model
from inference_backend.vila_m3.messages import Message
from inference_backend.vila_m3.tokenizer import (
    Tokenizer,
    clean_up_spaces,
    open_tokenizer,
    prompt_ids,
    settled_length,
    stop_ids,
)


def test_reference_texts_encode_alike(
    tokenizer: Tokenizer, tokenizer_cases: dict[str, list[dict[str, Any]]]
) -> None:
    for case in tokenizer_cases["encode"]:
        assert prompt_ids(case["text"], tokenizer) == case["ids"], case["text"]


def test_reference_ids_decode_alike(
    tokenizer: Tokenizer, tokenizer_cases: dict[str, list[dict[str, Any]]]
) -> None:
    for case in tokenizer_cases["decode"]:
        assert tokenizer.decode(case["ids"]) == case["text_skip_special"]
        assert tokenizer.decode(case["ids"], skip_special_tokens=False) == case["text_keep_special"]


def test_text_survives_the_round_trip(tokenizer: Tokenizer) -> None:
    for text in ("Leber 肝臓 ≥ 20 HU", "naïve 🫁 x", "tab\there\r\nnew line", "a  b   c"):
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_ids_outside_the_vocabulary_decode_to_nothing(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("liver")
    assert tokenizer.decode([*ids, 10**6]) == tokenizer.decode(ids)


@pytest.fixture
def bos_adding_checkpoint(copy_of_checkpoint: Callable[[str], Path]) -> Path:
    """The llama_3 checkpoint with a tokenizer that adds BOS, as Meta's own file does."""
    folder = copy_of_checkpoint("s8_llama3")
    path = folder / "llm" / "tokenizer.json"
    content = json.loads(path.read_text())
    bos = "<|begin_of_text|>"
    content["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": bos, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {bos: {"id": bos, "ids": [800], "tokens": [bos]}},
    }
    path.write_text(json.dumps(content))
    return folder


def test_bos_adding_tokenizer_gives_two_and_loses_nothing(bos_adding_checkpoint: Path) -> None:
    model = load_model(bos_adding_checkpoint)
    prompt = model.prompt([Message("user", "<image>This is a CT image.")])
    ids = model.input_ids(prompt)
    reference = PreTrainedTokenizerFast(tokenizer_file=str(bos_adding_checkpoint / "llm" / "tokenizer.json"))
    before, after = prompt.split("<image>")
    assert ids[:2] == [800, 800]
    assert ids == reference(before)["input_ids"] + [-200] + reference(after)["input_ids"][1:]
    assert model.tokenizer.decode(ids[ids.index(-200) + 1 :]).startswith("This is")
    assert list(model.stop_ids) == [809]


def test_tokenizer_without_bos_loses_the_token_after_an_image() -> None:
    class Letters:
        """One id for each letter; "^" is BOS and never added."""

        bos_id = ord("^")

        def encode(self, text: str) -> list[int]:
            return [ord(letter) for letter in text]

    letters: Any = Letters()
    assert prompt_ids("^ab<image>cd<image>", letters) == [*b"^ab", -200, ord("d"), -200]
    assert prompt_ids("ab<image>cd", letters) == [*b"ab", -200, *b"cd"]
    assert prompt_ids("<image>^cd", letters) == [-200, *b"^cd"]
    assert stop_ids("^!", letters) == [ord("!")]
    assert stop_ids("^", letters) == [ord("^")]


def test_sentencepiece_checkpoint_with_both_files_uses_the_model_file(
    copy_of_checkpoint: Callable[[str], Path],
) -> None:
    folder = copy_of_checkpoint("s3_vicuna3b") / "llm"
    expected = open_tokenizer(folder).encode(" two  spaces")
    (folder / "tokenizer.json").write_text("{}")
    assert open_tokenizer(folder).encode(" two  spaces") == expected


def test_settled_beginning_is_never_changed_by_what_follows() -> None:
    chance = random.Random(7)
    for _ in range(20_000):
        text = "".join(chance.choices(" '.,?!ntmsver x", k=chance.randint(0, 14)))
        cut = chance.randint(0, len(text))
        settled = settled_length(text[:cut])
        assert clean_up_spaces(text) == clean_up_spaces(text[:settled]) + clean_up_spaces(text[settled:])
