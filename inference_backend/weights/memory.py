"""How much device memory a model needs in each precision, from its shape."""

from __future__ import annotations

from collections.abc import Mapping

from inference_backend.vila_m3.precision import Precision
from inference_backend.weights.catalogue import Entry, LanguageModel

BYTES_OF_LINEAR_WEIGHT: Mapping[Precision, float] = {
    Precision.FP32: 4,
    Precision.BF16: 2,
    Precision.FP16: 2,
    Precision.INT8: 1.01,  # one scale a row
    Precision.NF4: 0.516,  # blocks of 64 with an 8-bit scale, doubly quantised (QLoRA, section 3)
}
WORKING_BYTES = 1_200_000_000
"""For the device's own context, the libraries and what one step computes; an estimate on the large side."""


def memory_needed(entry: Entry) -> dict[Precision, int]:
    """Bytes for weights, keys and values of a full context, and working; empty where no shape is known."""
    shape = entry.language_model
    if shape is None:
        return {}
    return {precision: _needed(shape, entry.other_size, precision) for precision in Precision}


def _needed(shape: LanguageModel, other_size: int, precision: Precision) -> int:
    """The parts beside the linear layers stay at 16 bits, at 32 with fp32; ``other_size`` is theirs at 16."""
    width = 4 if precision is Precision.FP32 else 2
    linear = linear_weights(shape) * BYTES_OF_LINEAR_WEIGHT[precision]
    beside = embedding_weights(shape) * width + other_size * width / 2
    return round(linear + beside + _cache_values(shape) * width + WORKING_BYTES)


def linear_weights(shape: LanguageModel) -> int:
    """Weights of the decoder layers' matrices."""
    queries = shape.heads * shape.head_size
    keys = shape.key_value_heads * shape.head_size
    attention = shape.hidden_size * (2 * queries + 2 * keys)
    return shape.layers * (attention + 3 * shape.hidden_size * shape.intermediate_size)


def embedding_weights(shape: LanguageModel) -> int:
    """Weights of the embedding table and of the output layer."""
    return shape.vocabulary * shape.hidden_size * (1 if shape.tied_embeddings else 2)


def _cache_values(shape: LanguageModel) -> int:
    """Keys and values of a prompt with answer as long as the context."""
    return 2 * shape.layers * shape.key_value_heads * shape.head_size * shape.context
