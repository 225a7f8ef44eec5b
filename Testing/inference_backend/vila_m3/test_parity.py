"""Every step of every reference conversation equals what the original code computed.

Tolerances are those that shared/golden/how_to_compare.md gives for float32 on a CPU.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from inference_backend.vila_m3.decoder import Decoder
from inference_backend.vila_m3.generation import Reply, never
from inference_backend.vila_m3.messages import prompt_images, squash_expert_messages
from inference_backend.vila_m3.model import VilaM3Model
from inference_backend.vila_m3.sampling import GenerationSettings


def assert_close(found: torch.Tensor, expected: npt.NDArray[Any], atol: float, rtol: float = 0.0) -> None:
    np.testing.assert_allclose(found.numpy(), expected, atol=atol, rtol=rtol)


def prompt_embeds(model: VilaM3Model, conversation: Any) -> torch.Tensor:
    ids = model.input_ids(model.prompt(conversation.messages, conversation.generation_header))
    return model.inputs_embeds(ids, model.image_features(prompt_images(conversation.messages)))


def test_template_is_recognised(model: VilaM3Model, conversation: Any) -> None:
    assert model.template.name == ("llama_3" if conversation.set_name.startswith("s8") else "vicuna_v1")


def test_expert_messages_are_squashed_alike(conversation: Any) -> None:
    squashed = squash_expert_messages(conversation.messages)
    expected = conversation.facts["squashed_messages"]
    assert [message.role for message in squashed] == [item["role"] for item in expected]
    assert [message.text for message in squashed] == [
        "".join(part["text"] for part in item["content"] if part["type"] == "text") for item in expected
    ]


def test_prompt_and_ids_are_equal(model: VilaM3Model, conversation: Any) -> None:
    prompt = model.prompt(conversation.messages, conversation.generation_header)
    assert prompt == conversation.facts["prompt"]
    assert model.input_ids(prompt) == conversation.arrays["input_ids"].tolist()


def test_image_tensors_are_within_tolerance(model: VilaM3Model, conversation: Any) -> None:
    images = prompt_images(conversation.messages)
    if not images:
        assert conversation.facts["n_images"] == 0
        return
    pixel_values = model.pixel_values(images)
    if "pixel_values" in conversation.arrays:
        assert_close(pixel_values, conversation.arrays["pixel_values"], atol=2e-6)
    else:
        digest = hashlib.sha256(pixel_values.numpy().tobytes()).hexdigest()
        assert digest == conversation.facts["pixel_values_sha256"]
    features = model.vision_features(pixel_values)
    assert_close(features, conversation.arrays["vision_features"], atol=2e-5, rtol=1e-4)
    projected = model.projected_features(features)
    assert_close(projected, conversation.arrays["projector_output"], atol=2e-5, rtol=1e-4)


def test_spliced_embeddings_and_first_logits_are_within_tolerance(
    model: VilaM3Model, conversation: Any
) -> None:
    embeds = prompt_embeds(model, conversation)
    assert_close(embeds, conversation.arrays["inputs_embeds"], atol=2e-5, rtol=1e-4)
    assert_close(model.next_token_logits(embeds), conversation.arrays["first_step_logits"], atol=1e-4)


def test_logits_of_every_step_are_within_tolerance(model: VilaM3Model, conversation: Any) -> None:
    decoder = Decoder(model)
    logits = decoder.read_prompt(prompt_embeds(model, conversation), never)
    for token_id, expected in zip(
        conversation.arrays["output_ids"], conversation.arrays["step_logits"], strict=True
    ):
        assert logits is not None
        assert_close(logits, expected, atol=1e-4)
        logits = decoder.read_token(int(token_id))


def test_greedy_reply_is_equal(model: VilaM3Model, conversation: Any) -> None:
    settings = GenerationSettings(max_new_tokens=conversation.facts["gen_kwargs"]["max_new_tokens"])
    reply = Reply(model, prompt_embeds(model, conversation), settings)
    pieces = list(reply)
    assert reply.ids == conversation.arrays["output_ids"].tolist()
    assert reply.finish_reason == ("stop" if conversation.facts["stopped_early"] else "length")
    assert "".join(pieces) == reply.text == conversation.facts["text"]


def test_stop_ids_are_equal(model: VilaM3Model, conversation: Any) -> None:
    assert [list(model.stop_ids)] == conversation.facts["stop_keyword_ids"]


@pytest.mark.parametrize(("precision", "dtype"), [("fp16", torch.float16), ("bf16", torch.bfloat16)])
def test_low_precision_stays_near(models: Any, precision: str, dtype: torch.dtype) -> None:
    from inference_backend.vila_m3.loading import load_model

    exact = models("s8_llama3")
    rounded = load_model(exact.checkpoint.folder, precision=precision)
    ids = exact.input_ids("A plain text.")
    found = rounded.next_token_logits(rounded.inputs_embeds(ids))
    expected = exact.next_token_logits(exact.inputs_embeds(ids))
    assert rounded.dtype == dtype
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=0.2, rtol=0)
