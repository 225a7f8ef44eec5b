"""Steps of fixed shape give what the eager ones give, over every window, also compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from inference_backend.vila_m3.decoder import Decoder
from inference_backend.vila_m3.generation import Reply, never
from inference_backend.vila_m3.model import VilaM3Model
from inference_backend.vila_m3.runner import EagerRunner
from inference_backend.vila_m3.sampling import GenerationSettings
from inference_backend.vila_m3.static_runner import StaticRunner, fastest_runner

WINDOWS = (64, 96)
LONG = GenerationSettings(max_new_tokens=70, min_new_tokens=70)


def traced(llm: Any) -> Any:
    """What torch.compile makes of it, without generating code: any break in the graph is an error."""
    return torch.compile(llm, backend="aot_eager", dynamic=False, fullgraph=True)


@pytest.fixture
def prompt(model: VilaM3Model) -> torch.Tensor:
    return model.text_embeds([11 * number % 700 for number in range(50)])


@pytest.mark.parametrize("compile_call", [lambda llm: llm, traced], ids=["uncompiled", "traced"])
def test_steps_equal_the_eager_ones_over_every_window(
    set_name: str, model: VilaM3Model, prompt: torch.Tensor, compile_call: Callable[[Any], Any]
) -> None:
    if compile_call is traced and set_name == "s8_llama3":
        pytest.skip("one trace is enough")
    decoders = [Decoder(model), Decoder(model, runner=StaticRunner(model, WINDOWS, compile_call))]
    logits = [decoder.read_prompt(prompt, never) for decoder in decoders]
    for _ in range(60):  # over 64 and over 96 tokens
        assert logits[0] is not None
        assert logits[1] is not None
        torch.testing.assert_close(logits[1], logits[0], atol=1e-4, rtol=0)
        token_id = int(logits[0].argmax())
        logits = [decoder.read_token(token_id) for decoder in decoders]


def test_prefixes_are_reused_as_by_the_eager_one(model: VilaM3Model, prompt: torch.Tensor) -> None:
    decoder = Decoder(model, runner=StaticRunner(model, WINDOWS, lambda llm: llm))
    for tail in ([5] * 40, [9] * 40):
        whole = torch.cat([prompt, model.text_embeds(tail)])
        reply = Reply(model, whole, LONG, decoder=decoder)
        list(reply)
        expected = Reply(model, whole, LONG)
        list(expected)
        assert reply.ids == expected.ids
    assert reply.usage.reused_tokens == len(prompt)
    decoder.forget()
    again = Reply(model, whole, LONG, decoder=decoder)
    list(again)
    assert again.ids == expected.ids


def test_saved_sequences_come_back(model: VilaM3Model, prompt: torch.Tensor) -> None:
    runner = StaticRunner(model, WINDOWS, lambda llm: llm)
    first = runner.read(prompt)
    saved = runner.save(len(prompt))
    runner.clear()
    runner.read(model.text_embeds([3] * 20))
    runner.restore(saved, len(prompt) - 1)
    torch.testing.assert_close(runner.read(prompt[-1:]), first, atol=1e-4, rtol=0)


def test_preparing_leaves_an_empty_sequence(model: VilaM3Model, prompt: torch.Tensor) -> None:
    runner = StaticRunner(model, WINDOWS, lambda llm: llm)
    runner.prepare()
    torch.testing.assert_close(runner.read(prompt), model.next_token_logits(prompt), atol=1e-4, rtol=0)


def test_a_cpu_decodes_operation_by_operation(model: VilaM3Model) -> None:
    assert isinstance(fastest_runner(model), EagerRunner)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16", "nf4"])
def test_recorded_graphs_decode_as_the_eager_runner_does(golden: Any, precision: str) -> None:
    from inference_backend.vila_m3.loading import load_model

    model = load_model(golden / "s3_vicuna3b" / "checkpoint", "cuda", precision)
    runner = fastest_runner(model)
    assert isinstance(runner, StaticRunner)
    prompt = model.text_embeds([11 * number % 700 for number in range(1000)])
    decoders = [Decoder(model), Decoder(model, runner=runner)]
    logits = [decoder.read_prompt(prompt, never) for decoder in decoders]
    tolerance = 1e-3 if precision == "fp32" else 0.2
    for step in range(60):  # over 1024 tokens
        assert logits[0] is not None
        assert logits[1] is not None
        torch.testing.assert_close(logits[1], logits[0], atol=tolerance, rtol=0)
        logits = [decoder.read_token(step % 700) for decoder in decoders]
