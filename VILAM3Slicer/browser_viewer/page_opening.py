"""Opening another scan from the page: by path, or by files that the browser sends.

The scan is read on a thread and shown only when that went well, so that the present one is never lost.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

from browser_viewer.dicom_series import SeveralSeries
from browser_viewer.loading import ALL_SERIES, Scan, read_scans
from browser_viewer.page_guard import SECRET_HEADER, PageGuard
from browser_viewer.scene_file import check_scene_file, is_scene
from browser_viewer.uploads import Uploads
from VILAM3SlicerLib.protocol.errors import OutOfSpace, VilaM3Error

_PIECE = 1 << 20
_TIME_TO_TELL = 0.1
"""Seconds in which the page gets to know what is being done before the event loop is kept busy by it."""


class ScanOpening:
    """Reads scans for the page.

    Args:
        add_scan: puts each scan that could be read into the scene and returns its node.
        load_scene: does so with each saved scene that was checked, given its path.
        show: gets the nodes that were opened together, the one to be talked about first.
    """

    def __init__(
        self,
        server: Any,
        guard: PageGuard,
        add_scan: Callable[[Scan], Any],
        load_scene: Callable[[Path], Sequence[Any]],
        show: Callable[[Sequence[Any]], None],
    ) -> None:
        self._state = server.state
        self._guard = guard
        self._add_scan = add_scan
        self._load_scene = load_scene
        self._show = show
        self._uploads = Uploads(Path(tempfile.mkdtemp(prefix="vilam3-upload-")))
        self._last = Path()
        self._state.update(
            {
                "opened": 0,
                "show_open": None,
                "open_path": "",
                "opening": _opening(),
                "upload_secret": guard.secret,
            }
        )
        server.trigger("open_path")(self.open_typed_path)
        server.trigger("open_series")(self.open_series)
        server.controller.on_server_bind.add(self._add_routes)

    def close(self) -> None:
        """Remove what was sent."""
        self._uploads.remove()

    async def open_typed_path(self, path: str) -> None:
        """Open what the person typed."""
        if path.strip():
            await self.open(Path(path.strip().strip("\"'")).expanduser())

    async def open_series(self, number: int | str) -> None:
        """Open one of the series that were offered, by its number, or ``ALL_SERIES`` as one study."""
        await self.open(self._last, str(number))

    async def open(self, path: Path, series: str = "") -> None:
        """Read a scan and show it, or say why not."""
        if self._state.opening["busy"]:
            return
        self._last = path
        self._tell(_opening(busy=True, message=f"Reading {path.name} …"))
        try:
            await self._open(path, series)
        except SeveralSeries as error:
            self._tell(_opening(message=_which_series(error), choices=_choices(error)), show=True)
        except VilaM3Error as error:
            self._tell(_opening(error={"message": error.message, "hint": error.hint}), show=True)
        except (OSError, MemoryError) as error:
            reason = getattr(error, "strerror", None) or "not enough memory"
            message = {"message": f"'{path.name}' cannot be read: {reason}.", "hint": "Check the file."}
            self._tell(_opening(error=message), show=True)
        else:
            self._tell(_opening())
            with self._state as state:
                state.opened += 1

    async def _open(self, path: Path, series: str) -> None:
        if is_scene(path):
            await asyncio.to_thread(check_scene_file, path)
            await asyncio.sleep(_TIME_TO_TELL)
            self._show(self._load_scene(path))
        else:
            scans = await asyncio.to_thread(read_scans, path, series)
            self._show([self._add_scan(scan) for scan in scans])

    def _tell(self, opening: dict[str, Any], show: bool = False) -> None:
        """The dialog is open while ``show_open`` equals the number of scans opened: each one closes it,
        whatever the page says of it at that moment."""
        with self._state as state:
            state.opening = opening
            if show:
                state.show_open = state.opened

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
        self._uploads.begin(request.query.get("folder", ""))
        self._tell(_opening(busy=True, message="Receiving …"))
        return web.Response()

    async def _take_file(self, request: web.Request) -> web.Response:
        self._check(request)
        try:
            with self._uploads.new_file(request.query.get("name", "")) as file:
                async for piece in request.content.iter_chunked(_PIECE):
                    self._uploads.count(len(piece))
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
        self._tell(_opening())
        chosen = self._uploads.what_to_open()
        if chosen is not None:
            await self.open(chosen)
        return web.Response()

    def _check(self, request: web.Request) -> None:
        if not self._guard.knows(request.headers.get(SECRET_HEADER, "")):
            raise web.HTTPForbidden(text="The secret of this page is missing or wrong.")

    def _refuse(self, error: VilaM3Error) -> web.Response:
        self._tell(_opening(error={"message": error.message, "hint": error.hint}))
        return web.Response(status=400, text=error.message)


def _opening(
    busy: bool = False,
    message: str = "",
    error: dict[str, str] | None = None,
    choices: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    return {"busy": busy, "message": message, "error": error, "choices": choices or []}


def _choices(error: SeveralSeries) -> list[dict[str, Any]]:
    numbered = enumerate(error.choices, 1)
    return [
        *({"number": number, "text": f"{number}. {text}"} for number, text in numbered),
        {"number": ALL_SERIES, "text": "All of them, as the sequences of one MRI study"},
    ]


def _which_series(error: SeveralSeries) -> str:
    return f"There are {len(error.choices)} DICOM series here. Which one?"
