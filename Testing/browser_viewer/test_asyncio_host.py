"""Background work of the browser viewer: its outcome is told on the loop, whatever it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from browser_viewer.asyncio_host import AsyncioHost
from VILAM3SlicerLib.protocol.errors import SceneError, VilaM3Error


def outcome(work: Callable[[], object]) -> object:
    """What ``on_done`` or ``on_error`` was told."""

    async def run() -> object:
        told: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        AsyncioHost().in_background(work, told.set_result, told.set_result)
        return await asyncio.wait_for(told, 10)

    return asyncio.run(run())


def fails(error: Exception) -> Callable[[], object]:
    def work() -> object:
        raise error

    return work


def test_a_value_is_told() -> None:
    assert outcome(lambda: 7) == 7


def test_an_error_of_ours_is_told_as_it_is() -> None:
    error = SceneError("There is no scan.")
    assert outcome(fails(error)) is error


@pytest.mark.parametrize("surprise", [MemoryError("no room"), ValueError("odd")])
def test_a_surprise_is_told_too(surprise: Exception) -> None:
    told = outcome(fails(surprise))
    assert isinstance(told, VilaM3Error)
    assert str(surprise) in told.message
