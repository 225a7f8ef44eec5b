"""How much of the work fits on the device at once."""

from __future__ import annotations

from math import prod

from inference_backend.experts.vista3d.sliding_window import Placement

GIB = 1024**3

_CHANNELS = 48
_FLOAT = 4
_ACTIVATIONS = 12
"""Tensors as large as a window with all channels that the network holds at its peak (estimated)."""

_LARGEST_BATCH = 4


def place(shape: tuple[int, ...], window: tuple[int, int, int], device: str, limit: int | None) -> Placement:
    """Choose the batch and the place of the sums within the free memory of a GPU and a person's limit.

    Args:
        shape: of the preprocessed image, in voxels.
        limit: bytes of device memory that may be used, the loaded weights among them; None for what is free.
            One window is always computed, however little that is.
    """
    import torch

    if not device.startswith("cuda"):
        return Placement(1, torch.device("cpu"))
    free = torch.cuda.mem_get_info(device)[0]
    budget = min(free, limit - torch.cuda.memory_allocated(device)) if limit else free
    batch, sums_fit = fit(shape, window, budget)
    return Placement(batch, torch.device(device if sums_fit else "cpu"))


def fit(shape: tuple[int, ...], window: tuple[int, int, int], budget: int) -> tuple[int, bool]:
    """The windows that fit at once, at least one, and whether the sums of features fit beside one."""
    lengths = [max(length, size) for length, size in zip(shape, window, strict=True)]
    axis = max(range(3), key=lambda candidate: lengths[candidate])
    lengths[axis] = window[axis]
    sums = 2 * prod(lengths) * _CHANNELS * _FLOAT  # one more while the slab moves
    one_window = prod(window) * _CHANNELS * _FLOAT * _ACTIVATIONS
    sums_fit = sums + one_window <= budget
    rest = budget - (sums if sums_fit else 0)
    return max(1, min(_LARGEST_BATCH, rest // one_window)), sums_fit
