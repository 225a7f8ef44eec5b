"""Gradients of two halves of a step, each on a core of its own.

On a busy machine this wastes less than both cores on one half, where each waits for the other after every
layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

import torch
from torch import nn

Loss = Callable[[], torch.Tensor]


class TwoCores:
    """Context in which gradients are computed by two threads of one core each."""

    def __init__(self, trained: Sequence[nn.Parameter]) -> None:
        self._trained = list(trained)
        self._threads = ThreadPoolExecutor(2, initializer=torch.set_num_threads, initargs=(1,))

    def __enter__(self) -> TwoCores:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown()

    def set_mean_gradients(self, losses: Sequence[Loss]) -> float:
        """Set ``grad`` of the trained parameters to the losses' mean gradient; return the mean loss."""
        results = list(self._threads.map(self._gradients, losses))
        for parameter, *gradients in zip(
            self._trained, *(gradients for _, gradients in results), strict=True
        ):
            parameter.grad = _mean(gradients)
        return sum(loss for loss, _ in results) / len(results)

    def _gradients(self, loss: Loss) -> tuple[float, tuple[torch.Tensor | None, ...]]:
        value = loss()
        return float(value.item()), torch.autograd.grad(value, self._trained, allow_unused=True)


def _mean(gradients: Sequence[torch.Tensor | None]) -> torch.Tensor | None:
    """Mean of the gradients, a missing one counting as zero; None where all are missing."""
    there = [gradient for gradient in gradients if gradient is not None]
    return torch.stack(there).sum(dim=0) / len(gradients) if there else None
