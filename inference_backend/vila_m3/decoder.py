"""The language model token by token; what it has read for earlier prompts is not read again.

The newest sequence is in the runner, those of other conversations in the prefix memory. A prompt goes on from
the longest beginning that it shares with one of them: system sentence, model cards, earlier turns.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from inference_backend.vila_m3.device_errors import free_cached_memory, is_out_of_memory
from inference_backend.vila_m3.model import VilaM3Model
from inference_backend.vila_m3.prefix_memory import SHORT, PrefixMemory, ReadSequence, common_length
from inference_backend.vila_m3.runner import EagerRunner, Runner

CHUNK = 512
"""Tokens of a prompt that are read between two looks at whether to stop."""

SHORT_CHUNK = 64
"""The same where somebody else may be waiting: slower, but a CPU hears of it in a fraction of a second."""


class Decoder:
    """Feeds prompts and replies to the language model; one reply at a time, from one thread."""

    def __init__(
        self, model: VilaM3Model, memory: PrefixMemory | None = None, runner: Runner | None = None
    ) -> None:
        """Without a ``memory`` only the newest sequence is remembered; the ``runner`` computes."""
        self._model = model
        self._memory = memory
        self._runner = runner or EagerRunner(model)
        self._read: list[torch.Tensor] = []
        self._written: list[int] = []
        self.reused_tokens = 0
        """Tokens of the last prompt that did not have to be read again."""

    def forget(self) -> None:
        """Free what is remembered."""
        self._read, self._written = [], []
        self._runner.clear()
        if self._memory is not None:
            self._memory.clear()

    @torch.no_grad()
    def read_prompt(
        self, inputs_embeds: torch.Tensor, is_cancelled: Callable[[], bool], chunk: int = CHUNK
    ) -> torch.Tensor | None:
        """Read a prompt (length, hidden size); return logits (vocabulary,) or None when cancelled.

        ``chunk`` is how many tokens are read between two looks at whether to stop; what was read stays known.
        Where memory runs out, what is remembered gives way and the prompt is read from its beginning.
        """
        try:
            return self._read_prompt(inputs_embeds, is_cancelled, chunk)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        self.forget()
        free_cached_memory(self._model.device)
        return self._read_prompt(inputs_embeds, is_cancelled, chunk)

    @torch.no_grad()
    def read_token(self, token_id: int) -> torch.Tensor:
        """Read one more token; return the logits (vocabulary,) of the one after it."""
        read, self._read = self._read, []
        written, self._written = self._written, []
        logits = self._runner.step(token_id)
        self._read, self._written = read, [*written, token_id]
        return logits

    def _read_prompt(
        self, embeds: torch.Tensor, is_cancelled: Callable[[], bool], chunk: int
    ) -> torch.Tensor | None:
        self.reused_tokens = self._go_back(embeds)
        logits = None
        for start in range(self.reused_tokens, len(embeds), chunk):
            if is_cancelled():
                return None
            piece = embeds[start : start + chunk]
            read, self._read = self._read, []  # a failure in mid-pass leaves nothing that could be reused
            logits = self._runner.read(piece)
            self._read = [*read, piece]
        return logits

    def _go_back(self, prompt: torch.Tensor) -> int:
        """Find the longest known beginning of a prompt, but leave one token to read; return its length."""
        current = self._sequence()
        shared = common_length(current, prompt)
        kept, shared_with_kept = self._memory.longest_beginning(prompt) if self._memory else (None, 0)
        if max(len(current) - shared, shared_with_kept - shared) >= SHORT:
            self._keep(current)
        if kept is None or shared_with_kept < shared + SHORT:
            length = min(shared, len(prompt) - 1)
            self._runner.rewind(length)
        else:
            length = min(shared_with_kept, len(prompt) - 1)
            self._runner.restore(kept.key_values, length)
        self._read = [prompt[:length]] if length else []
        return length

    def _sequence(self) -> torch.Tensor:
        """Embeddings of all that is in the runner: (length, hidden size)."""
        written, self._written = self._written, []
        if not self._read:
            return self._model.text_embeds([])
        return torch.cat([*self._read, self._model.text_embeds(written)])

    def _keep(self, sequence: torch.Tensor) -> None:
        if self._memory is not None and len(sequence) >= SHORT:
            self._memory.keep(ReadSequence(sequence, self._runner.save(len(sequence))))
