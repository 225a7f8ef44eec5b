"""The keys and values of one sequence, kept in buffers that are written in place."""

from __future__ import annotations

from typing import Any

import torch

from inference_backend.vila_m3.transformers_parts import Cache, CacheLayerMixin

BLOCK = 256
"""Tokens by which buffers are sized."""


class BufferedLayer(CacheLayerMixin):  # type: ignore[misc]  # transformers ships no types
    """One layer's keys and values: (1, heads, capacity, head size), of which the first ``length`` count.

    transformers' own dynamic layer copies all keys and values with each token; this one writes the new ones.
    """

    is_sliding = False
    is_croppable = True

    def __init__(self, capacity: int = 0) -> None:
        super().__init__()
        self.length = 0
        self._capacity = capacity

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        self.dtype, self.device = key_states.dtype, key_states.device
        self.keys, self.values = (
            states.new_empty((1, states.shape[1], self._capacity, states.shape[3]))
            for states in (key_states, value_states)
        )
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append (1, heads, new tokens, head size); return all that count."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self.length + key_states.shape[2]
        self._reserve(end)
        self.keys[:, :, self.length : end] = key_states
        self.values[:, :, self.length : end] = value_states
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def _reserve(self, needed: int) -> None:
        if needed <= self._capacity:
            return
        self._capacity = -(-max(needed, self._capacity * 3 // 2) // BLOCK) * BLOCK
        self.keys, self.values = (self._enlarged(buffer) for buffer in (self.keys, self.values))

    def _enlarged(self, buffer: torch.Tensor) -> torch.Tensor:
        larger = buffer.new_empty((1, buffer.shape[1], self._capacity, buffer.shape[3]))
        larger[:, :, : self.length] = buffer[:, :, : self.length]
        return larger

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.length + query_length, 0

    def get_seq_length(self) -> int:
        return self.length

    def get_max_length(self) -> int:
        return -1

    def reset(self) -> None:
        self.length = 0


class KeyValues:
    """What the language model keeps of one sequence, in all its layers."""

    def __init__(self, layers: int, capacity: int = 0) -> None:
        """``capacity`` tokens are allocated at first use; more as they come."""
        self.layers = [BufferedLayer(capacity) for _ in range(layers)]
        self.cache = Cache(layers=self.layers)

    @property
    def length(self) -> int:
        """Tokens that count."""
        return self.layers[0].length

    def set_length(self, length: int) -> None:
        """Say how many tokens count, after something else wrote the buffers or to forget the last ones."""
        for layer in self.layers:
            layer.length = length

    def copy_out(self, length: int) -> torch.Tensor:
        """A copy of the first ``length`` tokens: (layers, 2, heads, length, head size)."""
        _, heads, _, size = self.layers[0].keys.shape
        saved = self.layers[0].keys.new_empty((len(self.layers), 2, heads, length, size))
        for layer, (keys, values) in zip(self.layers, saved, strict=True):
            keys.copy_(layer.keys[0, :, :length])
            values.copy_(layer.values[0, :, :length])
        return saved

    def copy_in(self, saved: torch.Tensor, length: int) -> None:
        """Take the first ``length`` tokens of what :meth:`copy_out` gave, in place of all that was here."""
        self.set_length(0)
        for layer, (keys, values) in zip(self.layers, saved[:, :, None, :, :length], strict=True):
            layer.update(keys, values)
