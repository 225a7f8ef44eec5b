"""Listening: the address, the ready line, and a clean end."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import psutil
import uvicorn
from fastapi import FastAPI

from VILAM3SlicerLib.protocol.errors import InvalidRequest

log = logging.getLogger(__name__)

GRACE = 3
"""Seconds that open connections get when the service ends."""


def listen(host: str, port: int) -> socket.socket:
    """Take an address; port 0 takes any free one. Children do not inherit the socket.

    Raises:
        InvalidRequest: the address cannot be taken; the message says why.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    if sys.platform != "win32":  # there it would let two services share a port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise _cannot_listen(host, port, error) from error
    return listener


def address(listener: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run_server(
    app: FastAPI,
    listener: socket.socket,
    on_ready: Callable[[], None],
    parent: int | None = None,
    watch_stdin: bool = False,
) -> None:
    """Serve until SIGINT or SIGTERM, until the process ``parent`` is gone, or until standard input ends."""
    server = _Server(server_config(app), on_ready)
    if parent is not None:
        threading.Thread(target=server.end_with, args=(parent,), daemon=True).start()
    if watch_stdin:
        threading.Thread(target=server.end_with_stdin, daemon=True).start()
    asyncio.run(server.serve(sockets=[listener]))


def server_config(app: FastAPI) -> uvicorn.Config:
    """How uvicorn serves the app; its own access log would show queries and ids, so nothing may read it."""
    logging.getLogger("uvicorn.access").disabled = True
    return uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=GRACE
    )


def print_ready_line(url: str, key_file: str | None) -> None:
    """Tell whoever started the service where it is; the key itself is never printed."""
    print(json.dumps({"url": url, "pid": os.getpid(), "key_file": key_file}), flush=True)


class _Server(uvicorn.Server):
    """Ends cleanly on the signals of its platform and says when it is ready."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but a clean end is exit status 0, not the signal once more."""
        signals = [signal.SIGINT, signal.SIGTERM]
        if sys.platform == "win32":
            signals.append(signal.SIGBREAK)
        before = {number: signal.signal(number, self._end) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.handle_exit(number, frame)

    def end_with(self, parent: int) -> None:
        """Wait for another process to end, then end."""
        with suppress(psutil.NoSuchProcess):
            psutil.Process(parent).wait()
        log.warning("the program that started the backend is gone; the backend ends too")
        self.should_exit = True

    def end_with_stdin(self) -> None:
        """Wait until whoever started us closes our standard input (or is gone), then end."""
        while os.read(sys.stdin.fileno(), 4096):
            pass
        log.info("standard input was closed; the backend ends")
        self.should_exit = True


def _cannot_listen(host: str, port: int, error: OSError) -> InvalidRequest:
    if error.errno in (errno.EADDRINUSE, errno.EACCES):
        return InvalidRequest(
            f"Port {port} of {host} is in use by another program, or may not be used.",
            "Choose another one with --port, or --port 0 for any free one.",
            "port_in_use",
        )
    return InvalidRequest(
        f"{host} is not an address of this machine.", "Use --host 127.0.0.1.", "address_unusable"
    )
