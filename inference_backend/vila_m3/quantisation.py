"""What a precision means to torch, and to bitsandbytes where weights are quantised."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch

from inference_backend.vila_m3.precision import Precision
from VILAM3SlicerLib.protocol.errors import InvalidRequest, ModelError

_DTYPES = {
    Precision.FP32: torch.float32,
    Precision.BF16: torch.bfloat16,
    Precision.FP16: torch.float16,
    Precision.INT8: torch.float16,  # what its kernels compute in
}


def read_precision(name: Precision | str) -> Precision:
    """A precision by its name.

    Raises:
        InvalidRequest: the name is unknown.
    """
    try:
        return Precision(name)
    except ValueError:
        known = ", ".join(Precision)
        raise InvalidRequest(f"The precision {name!r} is unknown.", f"Use one of {known}.") from None


def compute_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The number type of activations, and of the weights that are not quantised."""
    if precision is not Precision.NF4:
        return _DTYPES[precision]
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def quantisation_config(precision: Precision, dtype: torch.dtype) -> Any:
    """What transformers' loader is told; None for a precision that is not quantised.

    Raises:
        ModelError: bitsandbytes is not installed.
    """
    if not precision.is_quantised:
        return None
    if find_spec("bitsandbytes") is None:
        raise ModelError(
            f"The precision {precision.value} needs the package bitsandbytes, which is not installed.",
            "Install it (it exists for Linux and Windows), or choose the precision bf16.",
        )
    from inference_backend.vila_m3.transformers_parts import BitsAndBytesConfig

    if precision is Precision.INT8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
