"""Sessions take turns; a session's own questions stay in order."""

from __future__ import annotations

import pytest

from inference_backend.service.fair_queue import FairQueue


def filled(*items: str) -> FairQueue[str]:
    queue: FairQueue[str] = FairQueue()
    for item in items:
        queue.push(item[0], item)
    return queue


def test_sessions_rotate_and_the_order_is_foretold() -> None:
    queue = filled("a1", "a2", "a3", "b1", "c1", "c2")
    expected = ["a1", "b1", "c1", "a2", "c2", "a3"]
    assert queue.order() == expected
    assert [queue.pop() for _ in range(len(queue))] == expected


def test_a_session_that_asks_again_waits_behind_the_others() -> None:
    queue = filled("a1", "b1", "b2")
    assert queue.pop() == "a1"
    queue.push("a", "a2")
    assert [queue.pop() for _ in range(3)] == ["b1", "a2", "b2"]


def test_items_can_be_taken_out() -> None:
    queue = filled("a1", "a2", "b1")
    assert queue.remove("a1")
    assert not queue.remove("a1")
    assert queue.remove("b1")
    assert queue.order() == ["a2"]
    queue.pop()
    assert len(queue) == 0
    with pytest.raises(KeyError):
        queue.pop()
