"""One Slicer's connection on a machine of its own: real processes, a real network, no toolkit."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from browser_viewer.asyncio_host import AsyncioHost
from browser_viewer.httpx_http import HttpxHttp
from Testing.VILAM3SlicerLib.connection.programs import (
    AsyncioPrograms,
    DictStore,
    backend_python,
    setup_source,
)
from VILAM3SlicerLib.connection.connection import Connection
from VILAM3SlicerLib.connection.consent import RecordedConsents
from VILAM3SlicerLib.connection.installer import Installer
from VILAM3SlicerLib.connection.local_backend import LocalBackend
from VILAM3SlicerLib.connection.python_finder import PythonFinder
from VILAM3SlicerLib.connection.settings import KeptSettings
from VILAM3SlicerLib.connection.setup_desk import SetupDesk
from VILAM3SlicerLib.connection.state import StateBoard
from VILAM3SlicerLib.protocol import PROTOCOL_VERSION

READY = {"protocol_version": PROTOCOL_VERSION, "readiness": "ready"}


class World:
    """A person's machine: folders, settings and one Slicer's connection."""

    def __init__(
        self, root: Path, status: dict[str, Any] | None = None, store: DictStore | None = None
    ) -> None:
        self.root = root
        self.folder = root / "backend"
        self.folder.mkdir(exist_ok=True)
        self.store = store if store is not None else DictStore(folder=str(self.folder), python=sys.executable)
        self.python = backend_python(root, status or READY)
        source = root / "source"
        self.source = source if source.exists() else setup_source(source, self.python)
        self.programs = AsyncioPrograms()
        self.log: list[str] = []
        self.states: list[tuple[str, str]] = []
        self.connection = self._make()

    def _make(self) -> Connection:
        board, settings = StateBoard(), KeptSettings(self.store)
        self.consents = RecordedConsents(self.root / "consents.jsonl")
        environment = {**os.environ, "PYTHONHOME": "/of/Slicer", "PYTHONPATH": "/of/Slicer"}
        finder = PythonFinder(self.programs, environment, self.root / "Slicer")
        made = Connection(
            board=board,
            settings=settings,
            desk=SetupDesk(board, settings, finder, Installer(self.programs, environment, self.source)),
            local=LocalBackend(self.programs, environment),
            consents=self.consents,
            make_http=lambda access: HttpxHttp(access.address, self.consents, access.key),
            host=AsyncioHost(),
            store=self.root / "store",
        )
        made.on_log = self.log.append
        made.listen(lambda: self.states.append((board.now.phase, board.now.setup)))
        return made

    @property
    def state(self):
        return self.connection.state

    async def until(self, holds: Callable[[], bool]) -> None:
        for _ in range(1500):
            if holds():
                return
            await asyncio.sleep(0.02)
        pytest.fail(f"It did not come to that; {self.state}")

    async def planned(self) -> None:
        self.connection.desk.prepare()
        await self.until(lambda: self.state.setup == "planned")

    async def half_installed(self) -> None:
        """As long as the file ``slow`` is in the folder."""
        (self.folder / "slow").touch()
        await self.planned()
        self.connection.desk.agree()
        await self.until(lambda: self.state.progress is not None and self.state.progress.fraction == 0.25)

    async def installed(self) -> None:
        await self.planned()
        self.connection.desk.agree()
        await self.until(lambda: self.state.phase == "ready")


@asynccontextmanager
async def world(
    root: Path, status: dict[str, Any] | None = None, store: DictStore | None = None
) -> AsyncIterator[World]:
    made = World(root, status, store)
    try:
        yield made
    finally:
        made.connection.close()
        await made.programs.end()


def lived(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 60))
