"""Broken numbers, endless repetition and a device that fails: each caused, told in words, and survived."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from inference_backend.vila_m3.engine import VilaM3Engine
from inference_backend.vila_m3.generation import Reply
from inference_backend.vila_m3.messages import Message
from inference_backend.vila_m3.model import VilaM3Model
from inference_backend.vila_m3.repetition import RepetitionGuard
from inference_backend.vila_m3.sampling import GenerationSettings
from VILAM3SlicerLib.protocol.errors import ModelError

QUESTION = [Message("user", "What is CT?")]
ENDLESS = GenerationSettings(max_new_tokens=600, min_new_tokens=600)


@pytest.fixture
def engine(golden: Path) -> VilaM3Engine:
    return VilaM3Engine(golden / "s3_vicuna3b" / "checkpoint")


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_told(
    copy_of_checkpoint: Callable[[str], Path], number: float, temperature: float
) -> None:
    folder = copy_of_checkpoint("s3_vicuna3b")
    path = folder / "llm" / "model-00002-of-00002.safetensors"
    tensors = load_file(path)
    tensors["lm_head.weight"][7] = number
    save_file(tensors, path, {"format": "pt"})
    engine = VilaM3Engine(folder)
    for _ in range(2):
        with pytest.raises(ModelError, match="NaN") as caught:
            list(engine.reply(QUESTION, GenerationSettings(temperature=temperature, seed=1)))
        assert (caught.value.code, bool(caught.value.hint)) == ("not_finite", True)


def test_numbers_that_break_in_mid_answer_end_it_and_the_next_one_is_right(
    engine: VilaM3Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = "".join(engine.reply(QUESTION, GenerationSettings(max_new_tokens=12)))
    reply = engine.reply(QUESTION, ENDLESS)
    pieces = iter(reply)
    shown = next(pieces)
    norm = engine.model.llm.model.norm
    monkeypatch.setattr(norm, "forward", lambda hidden: hidden * torch.nan)
    with pytest.raises(ModelError, match="NaN"):
        list(pieces)
    monkeypatch.undo()
    assert reply.text.startswith(shown)
    assert "".join(engine.reply(QUESTION, GenerationSettings(max_new_tokens=12))) == expected


def test_a_model_that_repeats_itself_is_ended(engine: VilaM3Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    favourite = int(engine.model.input_ids(" no")[-1])
    head = engine.model.llm.lm_head
    forward = head.forward

    def prefer(hidden: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = forward(hidden)
        logits[..., favourite] += 1e6
        return logits

    monkeypatch.setattr(head, "forward", prefer)
    reply = engine.reply(QUESTION, ENDLESS)
    list(reply)
    assert reply.finish_reason == "repetition"
    assert len(reply.ids) == 64


def ended_at(ids: list[int]) -> int | None:
    guard = RepetitionGuard()
    return next((place for place, token_id in enumerate(ids, 1) if guard.push(token_id)), None)


@pytest.mark.parametrize(("period", "needed"), [(1, 64), (2, 64), (16, 64), (20, 80), (64, 256)])
def test_a_stretch_is_ended_after_four_rounds_and_64_tokens(period: int, needed: int) -> None:
    stretch = list(range(period))
    assert ended_at([1000, 1001, *stretch * 70]) == needed + 2


@pytest.mark.parametrize(
    "ids",
    [
        [5] * 63,
        [*range(20)] * 3,
        [*range(65)] * 8,
        [token for number in range(40) for token in (1, 2, 3, 100 + number)],  # a numbered list
    ],
    ids=["shorter", "thrice", "longer", "numbered"],
)
def test_what_people_write_is_left_alone(ids: list[int]) -> None:
    assert ended_at(ids) is None


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["device", "python", "allocator"],
)
def test_out_of_memory_is_told_with_a_hint_and_the_next_answer_comes(
    engine: VilaM3Engine, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(engine.model.llm.model.layers[2], "forward", fail)
        with pytest.raises(ModelError, match="too little free memory") as caught:
            list(engine.reply(QUESTION))
    assert caught.value.code == "out_of_memory"
    assert "nf4" in caught.value.hint
    assert "".join(engine.reply(QUESTION, GenerationSettings(max_new_tokens=8)))


def test_a_lost_device_is_told_apart(model: VilaM3Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise torch.AcceleratorError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(model.llm.model.layers[1], "forward", fail)
    with pytest.raises(ModelError, match="failed in mid-work") as caught:
        list(Reply(model, model.text_embeds([1, 2, 3])))
    assert caught.value.code == "device_lost"


def test_programming_errors_are_not_dressed_up(model: VilaM3Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(model.llm.model.layers[1], "forward", fail)
    with pytest.raises(RuntimeError, match="mat1"):
        list(Reply(model, model.text_embeds([1, 2, 3])))
