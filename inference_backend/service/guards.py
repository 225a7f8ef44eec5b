"""What every request passes before a route sees it: Host, key and size; and the line in the log.

Plain ASGI, so that streams are not buffered. No CORS headers are ever sent, so pages of other origins
cannot read an answer; the Host check keeps out names that were rebound to this machine.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterable
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference_backend.service.errors import error_response, internal_error
from inference_backend.service.settings import ServiceSettings
from VILAM3SlicerLib.protocol.errors import TooLarge, Unauthorized, VilaM3Error

OPEN_PATHS = frozenset({"/healthz"})
"""The only paths that need no key."""

access_log = logging.getLogger("inference_backend.access")

POLLED = ("/healthz", "/v1/status")
"""Front ends ask these every few seconds; good answers would crowd all else out of a log."""


class Guards:
    """Refuses what has no business here, in front of the whole app."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        status = _StatusOf(send)
        try:
            await self._guarded(scope, receive, status)
        except Exception as error:  # the edge of HTTP: whatever went wrong, the client gets our shape
            if status.code is None:
                await error_response(internal_error(error))(scope, receive, status)
            elif not isinstance(error, OSError):
                internal_error(error)
        finally:
            _log_access(scope, status.code, time.monotonic() - started)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        limit = self._body_limit(scope)
        try:
            _check_host(headers.get("host", ""), self._settings.hosts)
            if scope["path"] not in OPEN_PATHS:
                _check_key(headers.get("authorization", ""), self._settings.key)
            _check_length(headers.get("content-length", "0"), limit)
        except VilaM3Error as error:
            await error_response(error.body)(scope, receive, send)
            return
        await self._app(scope, _Counted(receive, limit), send)

    def _body_limit(self, scope: Scope) -> int:
        limits = self._settings.limits
        is_upload = scope["path"].startswith("/v1/volumes/")
        return limits.volume_body_bytes if is_upload else limits.chat_body_bytes


def _check_host(host: str, allowed: Iterable[str]) -> None:
    name = host.partition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    if allowed and name.lower() not in allowed:
        raise VilaM3Error(
            "This backend does not answer under that name.", "Use the address that it printed.", "wrong_host"
        )


def _check_key(authorization: str, key: str) -> None:
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() != "bearer" or not secrets.compare_digest(given.strip().encode(), key.encode()):
        raise Unauthorized(
            "The backend's key is missing or wrong.", "Start the backend again, or enter its present key."
        )


def _check_length(content_length: str, limit: int) -> None:
    if content_length.isdigit() and int(content_length) > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The request is larger than the {limit / 1e6:.0f} MB that are allowed.",
        "Send a smaller volume or fewer images.",
    )


class _Counted:
    """Receives the body up to a limit, for clients that do not tell its length."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._received = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        if self._received > self._limit:
            # FastAPI lets only its own kind of error through while it reads a body.
            raise HTTPException(413, _too_large(self._limit).message.rstrip("."))
        return message


class _StatusOf:
    """Sends, and remembers the status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.code: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.code = message["status"]
        await self._send(message)


def _log_access(scope: Scope, status: int | None, seconds: float) -> None:
    """The route as it is declared, so that no id, query or text of a person gets into the log."""
    route: Any = scope.get("route")
    path = getattr(route, "path", "(no route)")
    level = logging.DEBUG if path in POLLED and status == 200 else logging.INFO
    message = "method=%s route=%s status=%s ms=%.0f"
    access_log.log(level, message, scope["method"], path, status, seconds * 1000)
