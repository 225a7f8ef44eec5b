"""Packed conversations are computed exactly as if each stood alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from inference_backend.demo_model.training.dialogues import Dialogue, DialogueMaker
from inference_backend.demo_model.training.packing import Pack, pack, tokenise
from inference_backend.demo_model.training.scenes import Scene, draw_scene
from inference_backend.demo_model.training.train_language import PackReader, with_adapter
from inference_backend.vila_m3.projector import Projector

CHANNELS = 8
STOP = "</s>"


class ByteTokenizer:
    """UTF-8 bytes, and one id for the stop text."""

    bos_id = None
    vocabulary_size = 257
    cleans_up_spaces = False

    def encode(self, text: str) -> list[int]:
        ids: list[int] = []
        for position, stretch in enumerate(text.split(STOP)):
            ids += [256] if position else []
            ids += stretch.encode()
        return ids

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        return bytes(token for token in ids if token < 256).decode()

    decode_raw = decode

    def has_token(self, token: str) -> bool:
        return token == STOP


@pytest.fixture
def dialogues(random: np.random.Generator) -> list[Dialogue]:
    scene = draw_scene(random, [Scene((), "CT", "CT", b"0", "axial", "chest")])
    maker = DialogueMaker(scene, random)
    return [maker.draw() for _ in range(6)]


@pytest.fixture
def reader() -> PackReader:
    return pack_reader(torch.float32)


def pack_reader(frozen: torch.dtype) -> PackReader:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=257, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=8192,
    )  # fmt: skip
    features = {key: torch.randn(49, CHANNELS) for key in (b"0", b"", b"noise")}
    language_model = with_adapter(LlamaForCausalLM(config).to(frozen))
    return PackReader(language_model, Projector(CHANNELS, 32), features).eval()


@torch.no_grad()
def logits(reader: PackReader, packed: Pack, implementation: str) -> torch.Tensor:
    llama: Any = reader.language_model.get_base_model()
    llama.set_attn_implementation(implementation)
    segments = {"segments": packed.segments} if implementation != "sdpa" else {}
    positions = {"position_ids": packed.positions[None]} if segments else {}
    hidden = llama.model(inputs_embeds=reader.embeds(packed)[None], use_cache=False, **segments, **positions)
    predicted: torch.Tensor = llama.lm_head(hidden.last_hidden_state[0, packed.predicted_from])
    return predicted


def test_packed_logits_equal_those_of_each_conversation_under_plain_causal_attention(
    dialogues: list[Dialogue], reader: PackReader
) -> None:
    sequences = [tokenise(dialogue, ByteTokenizer()) for dialogue in dialogues]
    packed = pack(sequences)
    alone = torch.cat([logits(reader, pack([sequence]), "sdpa") for sequence in sequences])
    assert packed.length < sum(len(sequence.slots) for sequence in sequences) / 2
    torch.testing.assert_close(logits(reader, packed, "packed_conversations"), alone, atol=1e-4, rtol=1e-4)


def test_what_is_learned_is_the_replies_with_their_ends_and_nothing_else(dialogues: list[Dialogue]) -> None:
    packed = pack([tokenise(dialogue, ByteTokenizer()) for dialogue in dialogues])
    learned = "".join(STOP if token == 256 else chr(token) for token in packed.targets.tolist())
    replies = [turn.message.text for dialogue in dialogues for turn in dialogue.turns if turn.learned]
    assert learned == "".join(f" {reply}{STOP}" for reply in replies)


def test_the_prefix_is_the_system_sentence_and_the_cards(dialogues: list[Dialogue]) -> None:
    packed = pack([tokenise(dialogue, ByteTokenizer()) for dialogue in dialogues])
    text = "".join(chr(slot) if isinstance(slot, int) else "#" for slot in packed.slots[: packed.segments[0]])
    assert text.startswith("A chat between a curious user")
    assert all(card.line() in text for card in dialogues[0].scene.cards)


def test_a_step_changes_adapter_and_projector_only(dialogues: list[Dialogue], reader: PackReader) -> None:
    loss = reader(pack([tokenise(dialogue, ByteTokenizer()) for dialogue in dialogues]))
    loss.backward()
    with_gradient = {name for name, parameter in reader.named_parameters() if parameter.grad is not None}
    assert with_gradient
    assert all("lora_" in name or name.startswith("projector.") for name in with_gradient)


def test_frozen_weights_in_bfloat16_give_nearly_the_same_loss_and_gradients_in_float32(
    dialogues: list[Dialogue], reader: PackReader
) -> None:
    packed = pack([tokenise(dialogue, ByteTokenizer()) for dialogue in dialogues])
    exact, short = reader(packed), pack_reader(torch.bfloat16)
    loss = short(packed)
    assert loss.item() == pytest.approx(exact.item(), rel=0.01)
    assert loss.item() != exact.item()
    loss.backward()
    trained = [weight for weight in short.parameters() if weight.requires_grad]
    assert all(weight.grad is None or weight.grad.dtype is torch.float32 for weight in trained)
