"""Work in pieces of a few milliseconds, so that a user interface goes on between two of them."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

Result = TypeVar("Result")
Steps = Generator[None, None, Result]
"""Each ``next`` does one piece; the generator returns the result."""


def finish(steps: Steps[Result]) -> Result:
    """Do all pieces at once."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result
