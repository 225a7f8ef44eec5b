"""A hub on 127.0.0.1: the routes and headers that huggingface_hub 2.4 uses, and every way to fail.

That it speaks the protocol is tested with the library's own ``snapshot_download``.
"""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "MONAI/tiny"
LARGE = 1000
"""Files of this many bytes or more are kept as the hub keeps large ones: behind a redirect, with SHA-256."""


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    range: str
    authorization: str
    host: str


@dataclass
class Hub:
    """What the server holds, what it was asked, and how it misbehaves.

    Attributes:
        faults: by path of a file ("" for the listing), what to do instead of a good answer; each is used
            once, in order.
        with_sizes: whether the listing tells sizes and hashes.
        offers_xet: whether large files are said to be had in chunks from a server that is not there.
    """

    files: dict[str, bytes]
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    faults: dict[str, list[Callable[[Any, bytes], None]]] = field(default_factory=dict)
    with_sizes: bool = True
    offers_xet: bool = False
    commit: str = COMMIT

    def fail(self, path: str, *faults: Callable[[Any, bytes], None]) -> None:
        self.faults.setdefault(path, []).extend(faults)

    def ranges(self, path: str) -> list[str]:
        """The Range headers of the requests for a file's bytes, in order; empty for the whole file."""
        return [one.range for one in self.asked if one.method == "GET" and one.path.endswith(f"/cdn/{path}")]

    def fetched(self) -> set[str]:
        """The files whose bytes were asked for."""
        paths = (one.path for one in self.asked if one.method == "GET")
        return {path.partition("/cdn/")[2] or path.partition(f"/resolve/{self.commit}/")[2] for path in paths}

    def listing(self, blobs: bool) -> dict[str, Any]:
        siblings = [self._sibling(path, content, blobs) for path, content in self.files.items()]
        return {"id": REPOSITORY, "sha": self.commit, "siblings": siblings, "tags": [], "downloads": 0}

    def tree(self) -> list[dict[str, Any]]:
        """What ``snapshot_download`` asks for."""
        return [self._leaf(path, content) for path, content in self.files.items()]

    def _leaf(self, path: str, content: bytes) -> dict[str, Any]:
        leaf = {"type": "file", "path": path, "size": len(content), "oid": git_sha1(content)}
        large = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
        return {**leaf, "lfs": large} if len(content) >= LARGE else leaf

    def _sibling(self, path: str, content: bytes, blobs: bool) -> dict[str, Any]:
        if not (blobs and self.with_sizes):
            return {"rfilename": path}
        sibling: dict[str, Any] = {"rfilename": path, "size": len(content), "blobId": git_sha1(content)}
        if len(content) >= LARGE:
            sha256 = hashlib.sha256(content).hexdigest()
            sibling["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
        return sibling


def git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


# The ways to fail: each takes the handler and the rest of the body that it should have sent.


def cut_after(count: int) -> Callable[[Any, bytes], None]:
    """Announce all of it, send a part, close in good order."""

    def fault(handler: Any, body: bytes) -> None:
        handler.send_good_head(body)
        handler.wfile.write(body[:count])
        handler.close_connection = True

    return fault


def reset_after(count: int) -> Callable[[Any, bytes], None]:
    """Send a part, then reset the connection."""

    def fault(handler: Any, body: bytes) -> None:
        handler.send_good_head(body)
        handler.wfile.write(body[:count])
        handler.wfile.flush()
        time.sleep(0.1)
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()
        handler.close_connection = True

    return fault


def truncate_to(count: int) -> Callable[[Any, bytes], None]:
    """A shorter file, as if that were all."""
    return lambda handler, body: handler.send_bytes(body[:count])


def corrupt(handler: Any, body: bytes) -> None:
    """One bit is wrong."""
    middle = len(body) // 2
    handler.send_bytes(body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :])


def ignore_range(handler: Any, _body: bytes) -> None:
    """All of the file, though only its end was asked for."""
    handler.range_start = 0
    handler.send_bytes(handler.whole_body)


def stall_after(count: int, seconds: float) -> Callable[[Any, bytes], None]:
    """Send a part, then nothing, with the connection open."""

    def fault(handler: Any, body: bytes) -> None:
        handler.send_good_head(body)
        handler.wfile.write(body[:count])
        handler.wfile.flush()
        handler.server.ended.wait(seconds)
        handler.close_connection = True

    return fault


def status(code: int, **headers: str) -> Callable[[Any, bytes], None]:
    """An error, with the headers by which the hub explains it: ``x_error_code="GatedRepo"``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, _body: handler.send_bytes(b"{}", code, named)


def login_page(handler: Any, _body: bytes) -> None:
    """What the network of a hotel answers to everything."""
    handler.range_start = 0
    handler.send_bytes(b"<html>Welcome! Please sign in.</html>", 200, {"Content-Type": "text/html"})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: object) -> None: ...

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    @property
    def _hub(self) -> Hub:
        return self.server.hub  # type: ignore[attr-defined,no-any-return]

    def _answer(self) -> None:
        self.range_start = 0
        self.whole_body = b""
        address = urlsplit(self.path)  # as a proxy it is asked for whole addresses
        path = unquote(address.path)
        asked = (self.headers.get(name, "") for name in ("Range", "Authorization", "Host"))
        self._hub.asked.append(Asked(self.command, path, *asked))
        if path.startswith("/api/models/"):
            self._api(path, parse_qs(address.query))
        elif "/resolve/" in path:
            self._resolve(path.partition(f"/resolve/{self._hub.commit}/")[2])
        elif "/cdn/" in path:
            self._file(path.partition("/cdn/")[2])
        else:
            self.send_bytes(b"", 404, {"X-Error-Code": "RepoNotFound"})

    def _api(self, path: str, query: dict[str, list[str]]) -> None:
        if path.endswith("/commits/main"):
            commit = {"id": self._hub.commit, "authors": [], "date": "2024-10-30T00:00:00.000Z", "title": "x"}
            self.send_bytes(json.dumps([{**commit, "message": ""}]).encode())
            return
        if "/tree/" in path:
            self.send_bytes(json.dumps(self._hub.tree()).encode())
            return
        self._or_fault("", json.dumps(self._hub.listing("blobs" in query)).encode())

    def _resolve(self, path: str) -> None:
        content = self._hub.files.get(path)
        if content is None:
            self.send_bytes(b"", 404, {"X-Error-Code": "EntryNotFound"})
        elif len(content) < LARGE:
            self._or_fault(path, content)
        else:
            linked = {
                "X-Linked-Size": str(len(content)),
                "X-Linked-ETag": f'"{hashlib.sha256(content).hexdigest()}"',
                "Location": f"{self._hub.url}/cdn/{path}",
            }
            xet = {"X-Xet-Hash": "a" * 64, "X-Xet-Refresh-Route": "/api/xet-token"}
            self.send_bytes(b"", 302, linked | xet if self._hub.offers_xet else linked)

    def _file(self, path: str) -> None:
        self.whole_body = self._hub.files[path]
        asked = self.headers.get("Range", "")
        self.range_start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        self._or_fault(path, self.whole_body[self.range_start :])

    def _or_fault(self, path: str, body: bytes) -> None:
        self.etag = git_sha1(body)
        faults = self._hub.faults.get(path, [])
        if faults and self.command == "GET":
            faults.pop(0)(self, body)
        else:
            self.send_bytes(body)

    def send_good_head(self, body: bytes, code: int = 200, headers: dict[str, str] | None = None) -> None:
        partial = self.range_start > 0 and code == 200
        self.send_response(206 if partial else code)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{getattr(self, "etag", "")}"')
        self.send_header("X-Repo-Commit", self._hub.commit)
        if partial:
            end = self.range_start + len(body) - 1
            self.send_header("Content-Range", f"bytes {self.range_start}-{end}/{len(self.whole_body)}")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()

    def send_bytes(self, body: bytes, code: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_good_head(body, code, headers)
        if self.command != "HEAD":
            self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_arguments: object) -> None:
        """A client that hangs up is what some tests are about."""


@contextmanager
def running_hub(files: dict[str, bytes]) -> Iterator[Hub]:
    """A hub that holds one repository."""
    server = _Server(("127.0.0.1", 0), _Handler)
    hub = Hub(files, f"http://127.0.0.1:{server.server_port}")
    server.hub, server.ended = hub, threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield hub
    finally:
        server.ended.set()  # type: ignore[attr-defined]
        server.shutdown()
        server.server_close()
