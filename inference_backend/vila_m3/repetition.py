"""Telling a reply that goes round in circles."""

from __future__ import annotations

LONGEST_PERIOD = 64
REPEATS = 4
LEAST_TOKENS = 64
"""A table of zeros or a list of "no" may repeat itself for a while; nobody reads 64 tokens of it."""


class RepetitionGuard:
    """Notices when the newest tokens are one stretch of at most 64 tokens, at least four times in a row.

    The whole must be at least 64 tokens long, so that a single token needs 64 repeats.
    """

    def __init__(self) -> None:
        self._ids: list[int] = []
        self._equal = [0] * (LONGEST_PERIOD + 1)
        """For each period: how many of the newest tokens equal the one that many places before."""

    def push(self, token_id: int) -> bool:
        """Take one more token; True if the reply goes round in circles."""
        self._ids.append(token_id)
        repeats = False
        for period in range(1, min(LONGEST_PERIOD, len(self._ids) - 1) + 1):
            is_equal = self._ids[-1 - period] == token_id
            self._equal[period] = self._equal[period] + 1 if is_equal else 0
            repeats = repeats or self._equal[period] + period >= max(REPEATS * period, LEAST_TOKENS)
        return repeats
