"""The backend as the browser viewer knows it: the shared transport over httpx, and what it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx

from browser_viewer.asyncio_host import AsyncioHost
from browser_viewer.httpx_http import HttpxHttp
from VILAM3SlicerLib.connection.address import BackendAddress, read_address
from VILAM3SlicerLib.connection.readiness import ReadinessWatch
from VILAM3SlicerLib.connection.transport import BackendTransport
from VILAM3SlicerLib.protocol.errors import VilaM3Error
from VILAM3SlicerLib.protocol.messages import BackendStatus


class _NamedByThePerson:
    """Implements ``ScanGate``: who starts the viewer names the backend that gets the scan."""

    def require(self, address: BackendAddress) -> None:
        pass


class BackendClient(BackendTransport):
    """Implements ``chat.interfaces.Transport``; use it on a running event loop only."""

    def __init__(self, url: str, key: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._connection = HttpxHttp(read_address(url), _NamedByThePerson(), key, transport)
        super().__init__(self._connection)

    async def close_connections(self) -> None:
        """End what still runs and close the connections."""
        await self._connection.close_connections()

    async def ask_status(self) -> BackendStatus:
        """The handshake.

        Raises:
            ConnectionLost: nobody answers at this address.
            InvalidRequest: the backend speaks another version of the protocol.
        """
        told: asyncio.Future[BackendStatus] = asyncio.get_running_loop().create_future()
        self.status(told.set_result, told.set_exception)
        return await told

    async def wait_until_ready(self, on_wait: Callable[[str], None]) -> BackendStatus:
        """Wait while the backend loads its model; ``on_wait`` is told what it does, once each.

        Raises:
            ConnectionLost: the backend cannot be reached.
            VilaM3Error: the model could not be loaded, or not in time.
        """
        told: asyncio.Future[BackendStatus] = asyncio.get_running_loop().create_future()
        said: set[str] = set()

        def wait(status: BackendStatus) -> None:
            detail = status.detail or "The backend loads its model"
            if detail not in said:
                on_wait(detail)
            said.add(detail)

        def fail(error: VilaM3Error) -> None:
            told.set_exception(error)

        ReadinessWatch(self, AsyncioHost(), on_wait=wait, on_ready=told.set_result, on_error=fail)
        return await told
