"""The single steps: templates, messages, pictures, projector, splicing."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from PIL import Image

from inference_backend.vila_m3.images import ImagePreprocessor
from inference_backend.vila_m3.messages import (
    Message,
    messages_from_json,
    open_image,
    prompt_text,
    squash_expert_messages,
)
from inference_backend.vila_m3.model import VilaM3Model
from inference_backend.vila_m3.projector import merge_blocks
from inference_backend.vila_m3.templates import Llama3Template, VicunaTemplate
from VILAM3SlicerLib.protocol.errors import InvalidRequest

TURNS = [Message("user", "one"), Message("assistant", "two"), Message("user", "three")]


def test_llama3_ends_turns_with_eot_and_a_last_one_without_header_with_end_of_text() -> None:
    with_header = prompt_text(TURNS, Llama3Template(), system="S")
    assert with_header == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\none<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\ntwo<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nthree<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    assert prompt_text(TURNS, Llama3Template(), generation_header=False).endswith("three<|end_of_text|>")


def test_vicuna_puts_a_space_after_users_and_the_end_token_after_assistants() -> None:
    text = prompt_text(TURNS, VicunaTemplate(), system="S")
    assert text == "S USER: one ASSISTANT: two</s>USER: three ASSISTANT:"
    assert prompt_text(TURNS, VicunaTemplate(), generation_header=False, system="S").endswith("three ")


def test_each_run_of_expert_messages_becomes_one_user_message() -> None:
    pictures = [Image.new("L", (1, 1)) for _ in range(3)]
    messages = [
        Message("user", "q"),
        Message("expert", "a", pictures[:1]),
        Message("expert", "b", pictures[1:]),
        Message("assistant", "r"),
        Message("expert", "c"),
    ]
    squashed = squash_expert_messages(messages)
    assert [(message.role, message.text) for message in squashed] == [
        ("user", "q"),
        ("user", "ab"),
        ("assistant", "r"),
        ("user", "c"),
    ]
    assert list(squashed[1].images) == pictures


def test_demo_messages_with_an_unknown_role_or_a_path_outside_are_refused(tmp_path: Path) -> None:
    outside = [{"role": "user", "content": [{"type": "image_path", "image_path": "../secret.png"}]}]
    with pytest.raises(InvalidRequest, match="leaves"):
        messages_from_json(outside, tmp_path)
    with pytest.raises(InvalidRequest, match="system"):
        messages_from_json([{"role": "system", "content": []}], tmp_path)


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\x89PNG\r\n\x1a\n"])
def test_bytes_that_are_no_image_are_refused(content: bytes) -> None:
    with pytest.raises(InvalidRequest, match="image"):
        open_image(content)


def test_truncated_png_is_refused() -> None:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(buffer, format="PNG")
    with pytest.raises(InvalidRequest, match="image"):
        open_image(buffer.getvalue()[:2000])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "F", "CMYK"])
def test_picture_of_any_mode_and_shape_becomes_a_square_of_three_channels(mode: str) -> None:
    preprocessor = ImagePreprocessor(28, 1 / 255, (0.5,) * 3, (0.5,) * 3)
    values = preprocessor.pixel_values([Image.new(mode, (5, 300))])
    assert values.shape == (1, 3, 28, 28)
    assert values.min() >= -1
    assert values.max() <= 1


@pytest.mark.parametrize("grid", [1, 4, 5, 7, 27])
def test_blocks_are_merged_as_a_plain_loop_does(grid: int) -> None:
    features = torch.randn(2, grid * grid, 3)
    blocks = (grid + 1) // 2
    expected = torch.zeros(2, blocks * blocks, 12)
    for row in range(grid):
        for column in range(grid):
            token = (column // 2) * blocks + row // 2
            place = 2 * (row % 2) + column % 2
            expected[:, token, 3 * place : 3 * place + 3] = features[:, row * grid + column]
    assert torch.equal(merge_blocks(features), expected)


def test_surplus_images_are_ignored_and_missing_ones_refused(model: VilaM3Model) -> None:
    hidden = model.text_embeds([5]).shape[1]
    features = torch.randn(2, 9, hidden)
    embeds = model.inputs_embeds([5, -200, 6], features)
    assert torch.equal(embeds[1:10], features[0])
    assert len(embeds) == 11
    with pytest.raises(InvalidRequest, match="2 places for images, but 1"):
        model.inputs_embeds([-200, -200], features[:1])
    with pytest.raises(InvalidRequest, match="no embedding"):
        model.text_embeds([10**6])


def test_image_at_either_end_is_spliced(model: VilaM3Model) -> None:
    features = torch.randn(2, 9, model.text_embeds([5]).shape[1])
    embeds = model.inputs_embeds([-200, 5, -200], features)
    assert torch.equal(embeds, torch.cat([features[0], model.text_embeds([5]), features[1]]))
