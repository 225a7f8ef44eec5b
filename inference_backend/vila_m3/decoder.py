"""The language model token by token, with the keys and values of what it has read kept.

One sequence is remembered. The next prompt reuses the part it has in common with it (system sentence, model
cards, earlier turns), which on a CPU is most of the time to the first token.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from inference_backend.vila_m3.model import VilaM3Model

CHUNK = 512
"""Tokens of a prompt that are read between two looks at whether to stop."""


class Decoder:
    """Feeds one sequence to the language model. Not for several threads, or several replies, at once."""

    def __init__(self, model: VilaM3Model) -> None:
        self._model = model
        self._read: list[torch.Tensor] = []
        self._cache: Any = None
        self.reused_tokens = 0
        """Tokens of the last prompt that did not have to be read again."""

    def forget(self) -> None:
        """Free the remembered keys and values."""
        self._read, self._cache = [], None

    @torch.inference_mode()
    def read_prompt(
        self, inputs_embeds: torch.Tensor, is_cancelled: Callable[[], bool]
    ) -> torch.Tensor | None:
        """Read a prompt (length, hidden size); return logits (vocabulary,) or None when cancelled."""
        self.reused_tokens = self._rewind(inputs_embeds)
        logits = None
        for start in range(self.reused_tokens, len(inputs_embeds), CHUNK):
            if is_cancelled():
                return None
            logits = self._feed(inputs_embeds[start : start + CHUNK])
        return logits

    @torch.inference_mode()
    def read_token(self, token_id: int) -> torch.Tensor:
        """Read one more token; return the logits (vocabulary,) of the one after it."""
        return self._feed(self._model.text_embeds([token_id]))

    def _rewind(self, inputs_embeds: torch.Tensor) -> int:
        """Keep of the remembered sequence what the prompt begins with, but leave one token to read."""
        if not self._read:
            self.forget()
            return 0
        remembered = torch.cat(self._read)
        kept = min(_common_length(remembered, inputs_embeds), len(inputs_embeds) - 1)
        if kept < 1:
            self.forget()
            return 0
        self._cache.crop(kept - len(remembered))
        self._read = [remembered[:kept]]
        return kept

    def _feed(self, embeds: torch.Tensor) -> torch.Tensor:
        from transformers import DynamicCache

        read, self._read = self._read, []  # a failure in mid-pass leaves nothing that could be reused
        self._cache = DynamicCache() if self._cache is None else self._cache
        output = self._model.llm(
            inputs_embeds=embeds[None], past_key_values=self._cache, use_cache=True, logits_to_keep=1
        )
        self._read = [*read, embeds]
        logits: torch.Tensor = output.logits[0, -1]
        return logits.float()


def _common_length(first: torch.Tensor, second: torch.Tensor) -> int:
    """Number of leading rows that are equal."""
    shared = min(len(first), len(second))
    equal = (first[:shared] == second[:shared]).all(dim=1)
    return int(equal.long().cumprod(0).sum())
