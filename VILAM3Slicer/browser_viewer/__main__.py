"""The viewer as a web page for one person on this machine: ``python -m browser_viewer``."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from browser_viewer.headless import add_common_arguments, read_key
from browser_viewer.parent import end_with
from browser_viewer.slicer_views import prepare_rendering
from VILAM3SlicerLib.protocol.errors import InvalidRequest, VilaM3Error

if TYPE_CHECKING:
    from browser_viewer.page import ViewerPage
    from browser_viewer.page_guard import PageGuard
    from browser_viewer.page_opening import ScanOpening

HOST = "127.0.0.1"


def main(arguments: list[str] | None = None) -> int:
    """The command; prints one JSON line with the page's address once it can be opened."""
    options = _parse(arguments)
    try:
        end_with(options.parent_pid)
        prepare_rendering()
        _serve(options, read_key(options.key_file))
    except VilaM3Error as error:
        print(f"{error.message} {error.hint}".strip(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="browser_viewer", description=__doc__)
    add_common_arguments(parser)
    parser.add_argument("--volume", type=Path, help="the scan to begin with, or a scene (.mrb)")
    parser.add_argument("--modality", default="", help="CT, MRI, CXR, US; as the scan says if left out")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    return parser.parse_args(arguments)


def _serve(options: argparse.Namespace, key: str) -> None:
    """Build the page and serve it until it is interrupted.

    Raises:
        InvalidRequest: the port is in use.
    """
    os.environ["WSLINK_READY_MSG"] = ""  # standard output is for our one line
    sys.argv = sys.argv[:1]  # trame reads the command line too
    from trame.app import get_server

    from browser_viewer.page_guard import PageGuard

    server = get_server("vilam3", client_type="vue3")
    guard = PageGuard()
    guard.protect(server)
    page, opening = _build(server, guard, options, key)

    def ready(**_: Any) -> None:
        address = f"http://{HOST}:{server.port}/index.html?secret={guard.secret}"
        print(json.dumps({"url": address, "port": server.port}), flush=True)
        page.start()
        if options.volume is not None:
            server.context.first_scan = asyncio.get_running_loop().create_task(
                opening.open(options.volume, options.series)
            )

    server.controller.on_server_ready.add(ready)
    try:
        _run(server, options.port)
    finally:
        opening.close()


def _build(
    server: Any, guard: PageGuard, options: argparse.Namespace, key: str
) -> tuple[ViewerPage, ScanOpening]:
    """Slicer Core, its views and the page on a trame server."""
    from browser_viewer.asyncio_host import AsyncioHost
    from browser_viewer.backend_client import BackendClient
    from browser_viewer.page import ViewerPage
    from browser_viewer.page_layout import build_layout, prepare_server
    from browser_viewer.page_opening import ScanOpening
    from browser_viewer.scene_file import load_scene, save_scene
    from browser_viewer.slicer_views import add_scan, create_slicer
    from browser_viewer.view_grid import ViewGrid
    from VILAM3SlicerLib.viewer.scan_scene import ScanScene

    prepare_server(server)
    slicer_app = create_slicer()
    views = ViewGrid(server, slicer_app)
    host = AsyncioHost()
    scene = ScanScene(slicer_app.scene, slicer_app.app_logic, host)
    scene.default_modality = options.modality
    client = BackendClient(options.backend, key)
    save = partial(save_scene, slicer_app)
    page = ViewerPage(
        server, host, slicer_app.scene, scene=scene, views=views, client=client, save_scene=save
    )
    add = partial(add_scan, slicer_app.scene, patients=scene.volumes.patients)
    opening = ScanOpening(server, guard, add, partial(load_scene, slicer_app), page.show)
    build_layout(server, views.fill)
    return page, opening


def _run(server: Any, port: int) -> None:
    try:
        server.start(
            port=port,
            host=HOST,
            open_browser=False,
            show_connection_info=False,
            timeout=0,
            exec_mode="main",
        )
    except OSError as error:
        raise InvalidRequest(
            f"The page cannot be served on port {port}: {error.strerror}.",
            "Choose another with --port, or 0 for any free one.",
        ) from error


if __name__ == "__main__":
    sys.exit(main())
