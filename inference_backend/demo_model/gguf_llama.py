"""A Llama out of a GGUF file: configuration and weights, 4 and 8 bits only widened to float32.

What transformers reads, bit for bit, in a third of the time: it goes over the 98,000 words and merges of the
tokenizer several times to get here, this not at all.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from inference_backend.torchvision_import import make_torchvision_importable

if TYPE_CHECKING:
    import torch

OUTER_NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
CONFIG_FIELDS = {
    "hidden_size": "llama.embedding_length",
    "intermediate_size": "llama.feed_forward_length",
    "max_position_embeddings": "llama.context_length",
    "num_attention_heads": "llama.attention.head_count",
    "num_hidden_layers": "llama.block_count",
    "num_key_value_heads": "llama.attention.head_count_kv",
    "rms_norm_eps": "llama.attention.layer_norm_rms_epsilon",
    "vocab_size": "llama.vocab_size",
    "bos_token_id": "tokenizer.ggml.bos_token_id",
    "eos_token_id": "tokenizer.ggml.eos_token_id",
    "pad_token_id": "tokenizer.ggml.padding_token_id",
    "unk_token_id": "tokenizer.ggml.unknown_token_id",
}


def read_llama(path: Path) -> Any:
    """The ``LlamaForCausalLM`` in float32, for a file whose architecture is ``llama``.

    Raises:
        OSError, ValueError, KeyError, IndexError, RuntimeError: the file is missing, damaged or no Llama's.
    """
    import torch
    from gguf import GGUFReader

    make_torchvision_importable()
    from transformers import LlamaConfig, LlamaForCausalLM

    reader = GGUFReader(path)
    values = {ours: reader.fields[theirs].contents() for ours, theirs in CONFIG_FIELDS.items()}
    rope = {"rope_type": "default", "rope_theta": reader.fields["llama.rope.freq_base"].contents()}
    weights = _weights(reader, values["num_attention_heads"], values["num_key_value_heads"])
    tied = "lm_head.weight" not in weights
    config = LlamaConfig(**values, rope_parameters=rope, tie_word_embeddings=tied, dtype=torch.float32)
    return LlamaForCausalLM.from_pretrained(None, config=config, state_dict=weights, dtype=torch.float32)


def _weights(reader: Any, heads: int, key_value_heads: int) -> dict[str, torch.Tensor]:
    import torch
    from gguf import dequantize

    weights = {}
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type)
        if ".attn_q." in tensor.name:
            values = _halves_together(values, heads)
        elif ".attn_k." in tensor.name:
            values = _halves_together(values, key_value_heads)
        weights[_our_name(tensor.name)] = torch.from_numpy(np.array(values))
    return weights


def _our_name(name: str) -> str:
    """``blk.3.attn_q.weight`` is ``model.layers.3.self_attn.q_proj.weight``."""
    *layer, part, kind = name.split(".")
    return f"model.layers.{layer[1]}.{LAYER_NAMES[part]}.{kind}" if layer else f"{OUTER_NAMES[part]}.{kind}"


def _halves_together(values: npt.NDArray[np.float32], heads: int) -> npt.NDArray[np.float32]:
    """Rows of a projection (heads x width, in) from GGUF's order, where the two halves that a rotary
    embedding turns into each other alternate, to that of transformers, where they follow each other."""
    rows, columns = values.shape
    return values.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)
