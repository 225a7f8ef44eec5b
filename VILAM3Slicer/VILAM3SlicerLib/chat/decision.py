"""What only the person can decide, asked beside the conversation; until then nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """One answer; ``act`` gives the work that it takes, a piece at each ``next``, None for none."""

    text: str
    act: Callable[[], Iterator[None]] | None = None


@dataclass(frozen=True, eq=False)
class Decision:
    """A question that came of a turn; the first choice is what holds while nobody answers."""

    turn_id: str
    question: str
    choices: tuple[Choice, ...]
