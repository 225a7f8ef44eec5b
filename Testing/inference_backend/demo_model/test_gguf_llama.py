"""Our GGUF reader against that of transformers, on files written by the gguf package."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from inference_backend.demo_model.gguf_llama import read_llama
from inference_backend.demo_model.language_base import language_config

HEADS, KEY_VALUE_HEADS, WIDTH, INNER, WORDS = 6, 2, 96, 128, 64
Q4, Q8 = gguf.GGMLQuantizationType.Q4_1, gguf.GGMLQuantizationType.Q8_0


def write_llama(path: Path, tied: bool) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_vocab_size(WORDS)
    writer.add_context_length(256)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_block_count(2)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_VALUE_HEADS)
    writer.add_rope_freq_base(12345.0)
    writer.add_layer_norm_rms_eps(2e-5)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    random = np.random.default_rng(4)
    for name, shape in shapes(tied).items():
        values = random.normal(size=shape).astype(np.float32)
        if values.ndim == 1:
            writer.add_tensor(name, values)
            continue
        kind = Q8 if name.startswith("token_embd") else Q4
        writer.add_tensor(name, gguf.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def shapes(tied: bool) -> dict[str, tuple[int, ...]]:
    narrow = WIDTH // HEADS * KEY_VALUE_HEADS
    found: dict[str, tuple[int, ...]] = {"token_embd.weight": (WORDS, WIDTH), "output_norm.weight": (WIDTH,)}
    if not tied:
        found["output.weight"] = (WORDS, WIDTH)
    for layer in range(2):
        parts: dict[str, tuple[int, ...]] = {
            "attn_norm": (WIDTH,), "ffn_norm": (WIDTH,), "attn_q": (WIDTH, WIDTH), "attn_k": (narrow, WIDTH),
            "attn_v": (narrow, WIDTH), "attn_output": (WIDTH, WIDTH), "ffn_gate": (INNER, WIDTH),
            "ffn_up": (INNER, WIDTH), "ffn_down": (WIDTH, INNER),
        }  # fmt: skip
        found |= {f"blk.{layer}.{part}.weight": shape for part, shape in parts.items()}
    return found


@pytest.mark.parametrize("tied", [True, False])
def test_weights_and_configuration_are_those_that_transformers_reads(tmp_path: Path, tied: bool) -> None:
    path = tmp_path / "tiny.gguf"
    write_llama(path, tied)
    ours = read_llama(path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=path.name, dtype=torch.float32)
    weights, expected = ours.state_dict(), theirs.state_dict()
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    provenance = {"_model_name_or_path", "quantization_config"}
    wanted = {key: value for key, value in language_config(theirs).items() if key not in provenance}
    assert language_config(ours) == wanted


def test_a_file_without_a_llama_is_refused(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "other.gguf", "bert")
    writer.add_name("other")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(KeyError, match="llama"):
        read_llama(tmp_path / "other.gguf")
