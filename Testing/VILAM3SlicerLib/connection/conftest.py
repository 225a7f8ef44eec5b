"""Small real servers that answer as wrong as servers do, and a running loop to ask them on."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from browser_viewer.httpx_http import HttpxHttp
from VILAM3SlicerLib.connection.address import BackendAddress, read_address
from VILAM3SlicerLib.connection.transport import BackendTransport
from VILAM3SlicerLib.protocol.errors import VilaM3Error
from VILAM3SlicerLib.protocol.messages import BackendStatus


class OpenGate:
    """Lets everything through."""

    def require(self, address: BackendAddress) -> None:
        pass


@dataclass
class AnsweringServer:
    """A plain HTTP server that gives one answer to everything; ``bodies`` are what it was sent."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    url: str = ""

    def say(self, status: int, body: Any, **headers: str) -> AnsweringServer:
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = headers
        return self


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[AnsweringServer]:
    answering = AnsweringServer()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            answering.requests.append((self.command, self.path))
            answering.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.send_response(answering.status)
            for name, value in answering.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answering.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answering.body)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any  # noqa: N815 - names of http.server

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    answering.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield answering
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server() -> Iterator[AnsweringServer]:
    with serving() as answering:
        yield answering


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[AnsweringServer]:
    """One whose certificate nobody has signed but itself."""
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serving(context) as answering:
        yield answering


@pytest.fixture
def silent_url() -> Iterator[str]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def free_url() -> str:
    """A port at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def outcome(url: str, call: Callable[..., None], key: str = "", gate: Any = None) -> Any:
    """What ``call(transport, on_done, on_error)`` told, on a loop of its own."""

    async def run() -> Any:
        http = HttpxHttp(read_address(url), gate or OpenGate(), key)
        told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        call(
            BackendTransport(http),
            lambda *value: told.set_result(value[0] if value else None),
            told.set_result,
        )
        try:
            return await asyncio.wait_for(told, 60)
        finally:
            await http.close_connections()

    return asyncio.run(run())


def handshake(url: str, key: str = "") -> BackendStatus | VilaM3Error:
    """What asking for the status told."""
    return outcome(url, BackendTransport.status, key)
