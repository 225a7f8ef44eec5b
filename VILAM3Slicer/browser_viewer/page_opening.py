"""Opening another scan from the page: by path, or by files that the browser sends.

The scan is read on a thread and shown only when that went well, so that the present one is never lost.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from browser_viewer.loading import Scan, read_scan
from browser_viewer.page_guard import SECRET_HEADER, PageGuard
from VILAM3SlicerLib.protocol.errors import InvalidRequest, OutOfSpace, VilaM3Error

MAX_UPLOAD = 8 * 1024**3
_PIECE = 1 << 20


class ScanOpening:
    """Reads scans for the page; ``show`` gets each that could be read."""

    def __init__(self, server: Any, guard: PageGuard, show: Callable[[Scan], None]) -> None:
        self._state = server.state
        self._guard = guard
        self._show = show
        self._uploads = Path(tempfile.mkdtemp(prefix="vilam3-upload-"))
        self._received = 0
        self._state.update(
            {
                "show_open": False,
                "open_path": "",
                "open_series": "",
                "opening": _opening(),
                "upload_secret": guard.secret,
            }
        )
        server.trigger("open_path")(self.open_typed_path)
        server.controller.on_server_bind.add(self._add_routes)

    def close(self) -> None:
        """Remove what was sent."""
        shutil.rmtree(self._uploads, ignore_errors=True)

    async def open_typed_path(self, path: str, series: str = "") -> None:
        """Open what the person typed."""
        if path.strip():
            await self.open(Path(path.strip()).expanduser(), series.strip())

    async def open(self, path: Path, series: str = "") -> None:
        """Read a scan and show it, or say why not."""
        if self._state.opening["busy"]:
            return
        self._tell(_opening(busy=True, message="Reading …"))
        try:
            scan = await asyncio.to_thread(read_scan, path, series)
            self._show(scan)
        except VilaM3Error as error:
            self._tell(_opening(error={"message": error.message, "hint": error.hint}), show=True)
        except (OSError, MemoryError) as error:
            reason = getattr(error, "strerror", None) or "not enough memory"
            message = {"message": f"'{path.name}' cannot be read: {reason}.", "hint": "Check the file."}
            self._tell(_opening(error=message), show=True)
        else:
            self._tell(_opening(), show=False)

    def _tell(self, opening: dict[str, Any], show: bool | None = None) -> None:
        with self._state as state:
            state.opening = opening
            if show is not None:
                state.show_open = show

    def _add_routes(self, wslink_server: Any) -> None:
        wslink_server.app.add_routes(
            [
                web.post("/upload/begin", self._begin),
                web.post("/upload/file", self._take_file),
                web.post("/upload/end", self._end),
            ]
        )

    async def _begin(self, request: web.Request) -> web.Response:
        self._check(request)
        self.close()
        self._uploads.mkdir(parents=True)
        self._received = 0
        self._tell(_opening(busy=True, message="Receiving …"))
        return web.Response()

    async def _take_file(self, request: web.Request) -> web.Response:
        self._check(request)
        name = f"{int(request.query.get('index', '0')):05d}_{Path(request.query.get('name', '')).name}"
        try:
            with (self._uploads / name).open("wb") as file:
                async for piece in request.content.iter_chunked(_PIECE):
                    self._count(len(piece))
                    file.write(piece)
        except OSError as error:
            problem = OutOfSpace(
                f"The files cannot be kept: {error.strerror}.", "Free some space and try again."
            )
            return self._refuse(problem)
        except VilaM3Error as error:
            return self._refuse(error)
        return web.Response()

    async def _end(self, request: web.Request) -> web.Response:
        self._check(request)
        files = sorted(self._uploads.iterdir())
        self._tell(_opening())
        if files:
            await self.open(files[0] if len(files) == 1 else self._uploads, self._state.open_series.strip())
        return web.Response()

    def _check(self, request: web.Request) -> None:
        if not self._guard.knows(request.headers.get(SECRET_HEADER, "")):
            raise web.HTTPForbidden(text="The secret of this page is missing or wrong.")

    def _count(self, size: int) -> None:
        self._received += size
        if self._received > MAX_UPLOAD:
            raise InvalidRequest("The files are larger than 8 GB.", "Open them by their path instead.")

    def _refuse(self, error: VilaM3Error) -> web.Response:
        self._tell(_opening(error={"message": error.message, "hint": error.hint}))
        return web.Response(status=400, text=error.message)


def _opening(busy: bool = False, message: str = "", error: dict[str, str] | None = None) -> dict[str, Any]:
    return {"busy": busy, "message": message, "error": error}
