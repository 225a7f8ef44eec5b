"""Who may talk to the page's server: the browser of this person on this machine, and nobody else.

trame's own server asks for a secret on the WebSocket only, and its default is a constant that everybody
knows. Here each run has its own; besides, Host and Origin are checked on every request, so that another web
page that the person has open (DNS rebinding, cross-site WebSockets) gets nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SECRET_HEADER = "X-VILAM3-Secret"
_POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; connect-src 'self' ws: data: blob:; frame-ancestors 'none'"
)
"""Nothing is loaded from elsewhere. Vue compiles its templates in the page, hence unsafe-eval."""


class PageGuard:
    """Knows the secret of this run and checks requests."""

    def __init__(self) -> None:
        self.secret = secrets.token_urlsafe(32)

    def protect(self, server: Any) -> None:
        """Put the guard in front of a trame server; call it before the server starts."""
        server.cli.set_defaults(authKey=self.secret)
        server.controller.on_server_bind.add(self._bind)

    def knows(self, secret: str) -> bool:
        """Whether this is the secret of this run."""
        return secrets.compare_digest(secret.encode(), self.secret.encode())

    def _bind(self, wslink_server: Any) -> None:
        wslink_server.app.middlewares.append(self.check)

    @property
    def check(self) -> Any:
        """The aiohttp middleware."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            trouble = _trouble(request)
            if trouble:
                return web.Response(status=403, text=trouble)
            self._keep_reload_working(request)
            response = await handler(request)
            if not response.prepared:
                response.headers.update(_HEADERS)
                self._remember(request, response)
            return response

        return check

    def _keep_reload_working(self, request: web.Request) -> None:
        """trame takes the secret out of the address bar: a reload gets it back from the cookie."""
        cookie = request.cookies.get(_COOKIE, "")
        if request.path in _PAGES and "secret" not in request.query and self.knows(cookie):
            raise web.HTTPFound(f"/index.html?secret={self.secret}")

    def _remember(self, request: web.Request, response: web.StreamResponse) -> None:
        if request.path in _PAGES and self.knows(request.query.get("secret", "")):
            response.set_cookie(_COOKIE, self.secret, httponly=True, samesite="Strict", path="/")


_COOKIE = "vilam3-page"
_PAGES = ("/", "/index.html")
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


def _trouble(request: web.Request) -> str:
    """Why a request is refused; empty where it is not."""
    port = _port(request)
    hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
    if request.headers.get("Host", "") not in hosts:
        return "This page is for this machine only: the Host of the request is not allowed."
    origin = request.headers.get("Origin")
    is_websocket = request.headers.get("Upgrade", "").lower() == "websocket"
    if origin is None:
        return "The request has no Origin." if is_websocket or request.method == "POST" else ""
    if origin not in {f"http://{host}" for host in hosts}:
        return "The request comes from another web page: its Origin is not allowed."
    return ""


def _port(request: web.Request) -> int:
    if request.transport is None:
        return 0
    return int(request.transport.get_extra_info("sockname")[1])
