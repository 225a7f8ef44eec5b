"""Choosing the device that a child computes on."""

from __future__ import annotations

from importlib.util import find_spec


def resolve_device(device: str) -> str:
    """``auto`` is the first CUDA GPU where there is one, else the CPU; to be asked in a child only."""
    if device != "auto":
        return device
    if find_spec("torch") is None:
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
