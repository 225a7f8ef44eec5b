"""Who is next: each session's turns in order, the sessions in rotation."""

from __future__ import annotations

from collections import OrderedDict, deque
from itertools import zip_longest
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """A queue in which a session with many turns does not hold up one with few."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, deque[Item]] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(items) for items in self._sessions.values())

    def push(self, session: str, item: Item) -> None:
        """Put an item behind those of its session."""
        self._sessions.setdefault(session, deque()).append(item)

    def pop(self) -> Item:
        """Take the next item; its session goes to the end of the rotation. Raises KeyError when empty."""
        session, items = self._sessions.popitem(last=False)
        item = items.popleft()
        if items:
            self._sessions[session] = items
        return item

    def remove(self, item: Item) -> bool:
        """Take an item out of turn; False where it does not wait."""
        for session, items in self._sessions.items():
            if item in items:
                items.remove(item)
                if not items:
                    del self._sessions[session]
                return True
        return False

    def order(self) -> list[Item]:
        """The items in the order in which ``pop`` would give them."""
        rounds = zip_longest(*self._sessions.values())
        return [item for one_round in rounds for item in one_round if item is not None]
