"""Only the browser of this person, on this machine, with the secret of this run."""

from __future__ import annotations

import asyncio
from http.client import HTTPConnection
from urllib.parse import parse_qs, urlsplit

import aiohttp
import msgpack
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def port(running_page) -> int:
    return int(urlsplit(running_page.url).port or 0)


def status(port: int, method: str, path: str, **headers: str) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest(method, path, skip_host=True)
    for name, value in {"Host": f"127.0.0.1:{port}", "Content-Length": "0", **headers}.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    return connection.getresponse().status


async def _hello(port: int, secret: str, origin: str | None) -> dict[str, object]:
    headers = {"Origin": origin} if origin else {}
    hello = {
        "wslink": "1.0",
        "id": "system:c0:0",
        "method": "wslink.hello",
        "args": [{"secret": secret}],
        "kwargs": {},
    }
    body = msgpack.packb(hello)
    head = b"\x01\x00\x00\x00" + (0).to_bytes(4, "little") + len(body).to_bytes(4, "little")
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"http://127.0.0.1:{port}/ws", headers=headers) as socket,
    ):
        await socket.send_bytes(head + body)
        answer = await socket.receive(timeout=30)
        unpacked: dict[str, object] = msgpack.unpackb(answer.data[12:])
        return unpacked


def test_only_this_machines_name_is_answered(port):
    assert status(port, "GET", "/index.html") == 200
    assert status(port, "GET", "/index.html", Host=f"localhost:{port}") == 200
    assert status(port, "GET", "/index.html", Host="evil.example") == 403
    assert status(port, "GET", "/index.html", Host=f"evil.example:{port}") == 403


def test_other_pages_are_refused(port, running_page):
    secret = parse_qs(urlsplit(running_page.url).query)["secret"][0]
    assert status(port, "POST", "/upload/begin", Origin="http://evil.example", X_VILAM3_Secret=secret) == 403
    for origin in ("http://evil.example", None):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            asyncio.run(_hello(port, secret, origin))
        assert caught.value.status == 403


def test_the_secret_is_asked_for_and_is_not_the_one_that_everybody_knows(port, running_page):
    own = f"http://127.0.0.1:{port}"
    secret = parse_qs(urlsplit(running_page.url).query)["secret"][0]
    assert "result" in asyncio.run(_hello(port, secret, own))
    for wrong in ("wslink-secret", ""):
        assert "error" in asyncio.run(_hello(port, wrong, own))
    assert status(port, "POST", "/upload/begin", Origin=own) == 403
    assert status(port, "POST", "/upload/begin", Origin=own, X_VILAM3_Secret="wslink-secret") == 403
