"""Sequences that the language model has read, kept so that prompts which begin alike are not read again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

SHORT = 32
"""Tokens that are sooner read again than kept apart."""


class MemoryAccount(Protocol):
    """A share of a device's memory."""

    def take(self, size: int) -> bool:
        """Count ``size`` bytes as used, if the share has that much left."""
        ...

    def give_back(self, size: int) -> None:
        """Count ``size`` bytes as free again."""
        ...


@dataclass(frozen=True, eq=False)
class ReadSequence:
    """Embeddings (length, hidden size) and their keys and values (layers, 2, heads, length, head size)."""

    embeds: torch.Tensor
    key_values: torch.Tensor

    @property
    def size(self) -> int:
        """Bytes on the device."""
        return self.embeds.nbytes + self.key_values.nbytes


class PrefixMemory:
    """Read sequences, the least recently used of which give way when the account is exhausted."""

    def __init__(self, account: MemoryAccount) -> None:
        self._account = account
        self._kept: list[ReadSequence] = []  # the least recently used first

    def __len__(self) -> int:
        return len(self._kept)

    def longest_beginning(self, embeds: torch.Tensor) -> tuple[ReadSequence | None, int]:
        """The sequence that shares most with the beginning of a prompt (length, hidden size); how much."""
        best, longest = None, 0
        for kept in self._kept:
            shared = common_length(kept.embeds, embeds)
            if shared > longest:
                best, longest = kept, shared
        if best is not None:
            self._kept.remove(best)
            self._kept.append(best)
        return best, longest

    def keep(self, sequence: ReadSequence) -> None:
        """Remember a sequence in place of those that it continues, if the account has room for it."""
        for kept in list(self._kept):
            if common_length(kept.embeds, sequence.embeds) > len(kept.embeds) - SHORT:
                self._drop(kept)
        while not self._account.take(sequence.size):
            if not self._kept:
                return
            self._drop(self._kept[0])
        self._kept.append(sequence)

    def clear(self) -> None:
        """Forget everything."""
        for kept in list(self._kept):
            self._drop(kept)

    def _drop(self, sequence: ReadSequence) -> None:
        self._kept.remove(sequence)
        self._account.give_back(sequence.size)


def common_length(first: torch.Tensor, second: torch.Tensor) -> int:
    """Number of leading rows that are equal."""
    shared = min(len(first), len(second))
    equal = (first[:shared] == second[:shared]).all(dim=1)
    return int(equal.long().cumprod(0).sum())
