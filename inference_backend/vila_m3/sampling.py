"""Choosing the next token from its logits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from VILAM3SlicerLib.protocol.errors import InvalidRequest, ModelError


@dataclass(frozen=True)
class GenerationSettings:
    """How a reply is generated; the defaults are those of the published demo.

    ``temperature`` 0 always takes the most likely token. ``top_k`` and ``top_p`` matter above 0 only; a
    ``top_k`` of 0 takes all tokens. ``seed`` makes sampling repeatable. ``min_new_tokens`` keeps the language
    model's own end token (not the template's stop text) out of the first tokens. ``stop_strings`` end the
    reply where their text appears, in addition to the template's.
    """

    max_new_tokens: int = 1024
    min_new_tokens: int = 2
    temperature: float = 0.0
    top_p: float = 0.9
    top_k: int = 50
    seed: int | None = None
    stop_strings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        problems = {
            "max_new_tokens must be at least 1": self.max_new_tokens < 1,
            "temperature must not be negative": not self.temperature >= 0,
            "top_p must lie above 0 and at most at 1": not 0 < self.top_p <= 1,
            "top_k must not be negative": self.top_k < 0,
        }
        for problem in (text for text, is_wrong in problems.items() if is_wrong):
            raise InvalidRequest(f"The generation settings are wrong: {problem}.", "Correct that value.")


class Sampler:
    """Picks tokens for one reply."""

    def __init__(self, settings: GenerationSettings, end_ids: Sequence[int]) -> None:
        self._settings = settings
        self._end_ids = list(end_ids)
        self._picked = 0
        # Drawn on the CPU, so that a seed gives the same reply on every device.
        self._random = torch.Generator()
        if settings.seed is None:
            self._random.seed()
        else:
            self._random.manual_seed(settings.seed)

    def pick(self, logits: torch.Tensor) -> int:
        """The next token, from logits of shape (vocabulary,).

        Raises:
            ModelError: the best of them is not a finite number.
        """
        if self._picked < self._settings.min_new_tokens:
            logits = logits.clone()
            logits[self._end_ids] = -torch.inf
        self._picked += 1
        if self._settings.temperature == 0:
            best = logits.argmax()  # of a NaN, where there is one
            _require_finite(logits[best])
            return int(best)
        return self._draw(logits)

    def _draw(self, logits: torch.Tensor) -> int:
        count = min(self._settings.top_k or len(logits), len(logits))
        scores, tokens = logits.topk(count)
        _require_finite(scores[0])
        probabilities = (scores.cpu() / self._settings.temperature).softmax(dim=0)
        # A token stays if those before it leave part of top_p open; the first always does.
        before = probabilities.cumsum(dim=0) - probabilities
        probabilities[before >= self._settings.top_p] = 0
        return int(tokens[torch.multinomial(probabilities, 1, generator=self._random)])


def _require_finite(score: torch.Tensor) -> None:
    if not math.isfinite(score):
        raise ModelError(
            "The model computed something that is no number (NaN or infinity), so its answer was ended.",
            "Ask again. If it repeats: verify the weights, or choose the precision bf16.",
            "not_finite",
        )
