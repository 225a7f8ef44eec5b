"""The numeric precision that the published bundles run in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any


def half_precision(device: str) -> AbstractContextManager[Any]:
    """Mixed precision on a GPU, full precision on a CPU."""
    import torch

    return torch.autocast("cuda", torch.float16) if device.startswith("cuda") else nullcontext()
