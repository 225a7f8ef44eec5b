"""The experts that are loaded, and the device memory that they take: the least recently used gives way.

The free memory is asked of the device each time, so what the model's process and other programs hold is
counted too: there is one ledger, the device's own.
"""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Callable

from inference_backend.experts.interface import Expert
from VILAM3SlicerLib.protocol.errors import ExpertError

FreeBytes = Callable[[], int | None]
"""Device memory that is free now; None where experts are not bound by it."""

Tell = Callable[[str], None]
"""Takes a sentence for the person."""


class LoadedExperts:
    """Loads experts when they are asked for and unloads others when their memory is needed."""

    def __init__(self, device: str, free_bytes: FreeBytes) -> None:
        self._device = device
        self._free_bytes = free_bytes
        self._loaded: OrderedDict[str, Expert] = OrderedDict()

    def holds(self, expert: Expert) -> bool:
        """Whether the expert need not be loaded again."""
        return expert.card.name in self._loaded

    def ready(self, expert: Expert, tell: Tell) -> Expert:
        """The expert, loaded.

        Raises:
            ExpertError: it needs more memory than is free when all others are unloaded.
        """
        name = expert.card.name
        if not self.holds(expert):
            self._make_room(expert, tell)
            expert.load(self._device)
            self._loaded[name] = expert
        self._loaded.move_to_end(name)
        return expert

    def _make_room(self, expert: Expert, tell: Tell) -> None:
        while (missing := self._missing(expert)) and self._loaded:
            name, oldest = self._loaded.popitem(last=False)
            oldest.unload()
            del oldest
            _give_back()
            tell(f"{name} was unloaded to make room for {expert.card.name}; it takes longer when next asked.")
        if missing:
            needed, free = _gb(expert.memory_bytes), _gb(expert.memory_bytes - missing)
            raise ExpertError(
                f"{expert.card.name} needs {needed} of device memory; {free} are free.",
                "Close other programs that use the GPU, or choose a smaller model or precision.",
                "out_of_memory",
            )

    def _missing(self, expert: Expert) -> int:
        free = self._free_bytes()
        return 0 if free is None else max(expert.memory_bytes - free, 0)


def free_device_memory(device: str) -> FreeBytes:
    """Asks a CUDA device; any other does not bind the experts."""

    def ask() -> int | None:
        if not device.startswith("cuda"):
            return None
        import torch

        return int(torch.cuda.mem_get_info(device)[0])

    return ask


def _give_back() -> None:
    gc.collect()
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
