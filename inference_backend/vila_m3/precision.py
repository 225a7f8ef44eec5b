"""How the weights are kept in memory. Standard library only: whoever chooses a precision imports no torch."""

from __future__ import annotations

from enum import StrEnum


class Precision(StrEnum):
    """The number format of the language model's weights.

    The quantised ones concern its linear layers; embeddings, vision tower and projector stay at 16 bits.
    """

    FP32 = "fp32"
    """What the reference tensors are compared in."""

    BF16 = "bf16"
    """What the released weights are stored in."""

    FP16 = "fp16"
    """What the original serves."""

    INT8 = "int8"
    """8 bits, outlier channels at 16 (bitsandbytes, LLM.int8)."""

    NF4 = "nf4"
    """4-bit normal floats with doubly quantised scales (bitsandbytes, as in QLoRA)."""

    @property
    def is_quantised(self) -> bool:
        """Whether it needs bitsandbytes."""
        return self in (Precision.INT8, Precision.NF4)

    @property
    def bits(self) -> int:
        """Bits for each weight of a linear layer, without the scales."""
        return {"fp32": 32, "bf16": 16, "fp16": 16, "int8": 8, "nf4": 4}[self.value]
