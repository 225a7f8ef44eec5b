"""Generating a reply token by token."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch

from inference_backend.vila_m3.decoder import Decoder
from inference_backend.vila_m3.device_errors import device_errors_explained
from inference_backend.vila_m3.model import VilaM3Model
from inference_backend.vila_m3.repetition import RepetitionGuard
from inference_backend.vila_m3.sampling import GenerationSettings, Sampler
from inference_backend.vila_m3.text_stream import TextStream

FinishReason = Literal["stop", "length", "repetition", "cancelled"]


def never() -> bool:
    """The answer to "is it cancelled?" of a caller who never cancels."""
    return False


@dataclass(frozen=True)
class Usage:
    """Tokens of one reply; ``reused_tokens`` of the prompt had been read for an earlier one."""

    prompt_tokens: int
    completion_tokens: int
    reused_tokens: int


class Reply:
    """A reply in the making: iterate it for the pieces of its text; the rest is known afterwards.

    Nothing is computed before it is iterated. Leaving the loop pauses the generation; ``is_cancelled``, asked
    before every token and while the prompt is read, ends it.

    Iterating raises ModelError where the device fails or its numbers are none (NaN).
    """

    def __init__(
        self,
        model: VilaM3Model,
        inputs_embeds: torch.Tensor,
        settings: GenerationSettings | None = None,
        is_cancelled: Callable[[], bool] = never,
        decoder: Decoder | None = None,
    ) -> None:
        """Prepare a reply to a prompt of embeddings (length, hidden size).

        A ``decoder`` that is passed in again reuses what successive prompts have in common; the reply before
        must have ended or be abandoned.
        """
        self._inputs_embeds = inputs_embeds
        self._settings = settings or GenerationSettings()
        self._is_cancelled = is_cancelled
        self._decoder = decoder or Decoder(model)
        self._device = model.device
        self._guard = RepetitionGuard()
        self._stop_ids, self._end_ids = list(model.stop_ids), model.end_ids
        self._text = TextStream(model.tokenizer, (model.template.stop, *self._settings.stop_strings))
        self.ids: list[int] = []
        """The generated ids, the one that stopped the reply included."""
        self.finish_reason: FinishReason | None = None
        """None until the reply has ended."""
        self._pieces = self._generate()

    @property
    def text(self) -> str:
        """The text so far."""
        return self._text.text

    @property
    def usage(self) -> Usage:
        """Tokens read and written so far."""
        return Usage(len(self._inputs_embeds), len(self.ids), self._decoder.reused_tokens)

    def __iter__(self) -> Iterator[str]:
        return self._pieces

    def _generate(self) -> Iterator[str]:
        with device_errors_explained(self._device):
            yield from self._text_pieces()

    def _text_pieces(self) -> Iterator[str]:
        for token_id in self.generated_ids():
            piece = self._text.push(token_id)
            if piece:
                yield piece
            if self._text.stopped:
                self.finish_reason = "stop"
                return
        piece = self._text.finish()
        if piece:
            yield piece

    def generated_ids(self) -> Iterator[int]:
        """The ids as they are chosen, in place of the pieces of text."""
        sampler = Sampler(self._settings, self._end_ids)
        logits = self._decoder.read_prompt(self._inputs_embeds, self._is_cancelled)
        while logits is not None:
            self.ids.append(sampler.pick(logits))
            self.finish_reason = self._reason_to_end()
            yield self.ids[-1]
            if self.finish_reason is not None:
                return
            logits = None if self._is_cancelled() else self._decoder.read_token(self.ids[-1])
        self.finish_reason = "cancelled"

    def _reason_to_end(self) -> FinishReason | None:
        if self.ids[-1] in self._end_ids or self.ids[-len(self._stop_ids) :] == self._stop_ids:
            return "stop"
        if self._guard.push(self.ids[-1]):
            return "repetition"
        return "length" if len(self.ids) >= self._settings.max_new_tokens else None
