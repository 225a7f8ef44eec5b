"""Who has how much of a device's memory.

Weights are there or not; what is kept to be faster (conversations that were read, buffers) takes its share
from here and gives it back when somebody needs it more.
"""

from __future__ import annotations

from threading import Lock


class MemoryLedger:
    """Counts the bytes of one device that were promised; ``capacity`` is what may be promised in all."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._taken: dict[str, int] = {}
        self._lock = Lock()

    @property
    def free(self) -> int:
        """Bytes that nobody has taken."""
        return max(self._capacity - sum(self._taken.values()), 0)

    def taken(self, name: str) -> int:
        """Bytes that an account has taken."""
        return self._taken.get(name, 0)

    def account(self, name: str, limit: int | None = None) -> Account:
        """An account of its own, with at most ``limit`` bytes."""
        return Account(self, name, limit)

    def take(self, name: str, size: int, limit: int | None) -> bool:
        """Promise ``size`` bytes to an account, if there are that many."""
        with self._lock:
            mine = self.taken(name)
            if size > self.free or (limit is not None and mine + size > limit):
                return False
            self._taken[name] = mine + size
            return True

    def give_back(self, name: str, size: int) -> None:
        """Take a promise back."""
        with self._lock:
            self._taken[name] = max(self.taken(name) - size, 0)


class Account:
    """One user of the device's memory; see :class:`MemoryLedger`."""

    def __init__(self, ledger: MemoryLedger, name: str, limit: int | None) -> None:
        self._ledger = ledger
        self._name = name
        self._limit = limit

    def take(self, size: int) -> bool:
        """Count ``size`` bytes as used, if there are that many."""
        return self._ledger.take(self._name, size, self._limit)

    def give_back(self, size: int) -> None:
        """Count ``size`` bytes as free again."""
        self._ledger.give_back(self._name, size)
