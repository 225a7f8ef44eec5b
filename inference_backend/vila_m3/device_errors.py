"""Failures of the device, told apart and in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from VILAM3SlicerLib.protocol.errors import ModelError

OUT_OF_MEMORY = "out_of_memory"
DEVICE_LOST = "device_lost"

_SMALLER = (
    "Close other programs that use the device, start a new conversation or send fewer images; "
    "a smaller precision (int8 or nf4) or checkpoint leaves more room."
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on a GPU or in the machine's own memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)  # torch on a CPU


def is_device_lost(error: BaseException) -> bool:
    """Whether the device failed; this process cannot use it any more."""
    if isinstance(error, torch.AcceleratorError):
        return True
    return isinstance(error, RuntimeError) and str(error).startswith(("CUDA error", "CUDNN_STATUS", "cuBLAS"))


@contextmanager
def device_errors_explained(device: torch.device) -> Iterator[None]:
    """Turn failures of the device into errors that can be shown.

    Raises:
        ModelError: with the code ``out_of_memory`` or ``device_lost``.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise ModelError(
                f"{device} has too little free memory for this.", _SMALLER, OUT_OF_MEMORY
            ) from error
        if is_device_lost(error):
            raise ModelError(
                f"The device {device} failed in mid-work.",
                "The model is being loaded again; ask again in a moment.",
                DEVICE_LOST,
            ) from error
        raise


def free_cached_memory(device: torch.device) -> None:
    """Give memory that torch keeps for later back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
