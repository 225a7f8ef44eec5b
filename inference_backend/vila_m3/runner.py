"""The seam behind which ways to compute are exchanged: the language model over one growing sequence."""

from __future__ import annotations

from typing import Any, Protocol

import torch

from inference_backend.vila_m3.key_values import KeyValues
from inference_backend.vila_m3.model import VilaM3Model


class Runner(Protocol):
    """Holds the keys and values of one sequence; logits are (vocabulary,), float32, of the next token."""

    def read(self, embeds: torch.Tensor) -> torch.Tensor:
        """Append embeddings (length, hidden size); return the logits after the last."""
        ...

    def step(self, token_id: int) -> torch.Tensor:
        """Append one token; return the logits after it."""
        ...

    def rewind(self, length: int) -> None:
        """Keep only the first ``length`` tokens."""
        ...

    def save(self, length: int) -> torch.Tensor:
        """A copy of the first tokens' keys and values, for :meth:`restore`."""
        ...

    def restore(self, saved: torch.Tensor, length: int) -> None:
        """Begin again with the first ``length`` tokens of what was saved."""
        ...

    def clear(self) -> None:
        """Forget all tokens; free what memory can be freed."""
        ...


class EagerRunner:
    """Operation by operation, on any device. Buffers grow with the sequence."""

    def __init__(self, model: VilaM3Model) -> None:
        self._model = model
        self._key_values = KeyValues(model.llm.config.num_hidden_layers)

    def read(self, embeds: torch.Tensor) -> torch.Tensor:
        """See :class:`Runner`."""
        return read_embeds(self._model.llm, embeds, self._key_values)

    def step(self, token_id: int) -> torch.Tensor:
        """See :class:`Runner`."""
        return self.read(self._model.text_embeds([token_id]))

    def rewind(self, length: int) -> None:
        """See :class:`Runner`."""
        self._key_values.set_length(length)

    def save(self, length: int) -> torch.Tensor:
        """See :class:`Runner`."""
        return self._key_values.copy_out(length)

    def restore(self, saved: torch.Tensor, length: int) -> None:
        """See :class:`Runner`."""
        self._key_values.copy_in(saved, length)

    def clear(self) -> None:
        """See :class:`Runner`."""
        self._key_values = KeyValues(len(self._key_values.layers))


def read_embeds(llm: Any, embeds: torch.Tensor, key_values: KeyValues) -> torch.Tensor:
    """One pass over new embeddings (length, hidden size), which ``key_values`` takes up; logits."""
    output = llm(
        inputs_embeds=embeds[None], past_key_values=key_values.cache, use_cache=True, logits_to_keep=1
    )
    logits: torch.Tensor = output.logits[0, -1]
    return logits.float()
