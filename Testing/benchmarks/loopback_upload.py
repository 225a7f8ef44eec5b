"""How long a scan takes to the service on this machine, and how long the event loop stops meanwhile."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from browser_viewer.httpx_http import HttpxHttp
from VILAM3SlicerLib.chat.interfaces import PackedVolume
from VILAM3SlicerLib.connection.address import read_address
from VILAM3SlicerLib.connection.transport import BackendTransport

REPOSITORY = Path(__file__).resolve().parents[2]
TICK = 0.002
"""Seconds between two looks whether the event loop still comes round."""


def send_to_a_service(scan: Any) -> tuple[float, float]:
    """Seconds that a volume node takes, and the longest stop of the event loop."""
    from VILAM3SlicerLib.scene.volumes import hash_volume, nrrd_pieces, read_volume

    volume = read_volume(scan)
    packed = PackedVolume(hash_volume(volume), tuple(nrrd_pieces(volume)))
    with _service() as (url, key):
        return asyncio.run(_upload(url, key, packed))


async def _upload(url: str, key: str, volume: PackedVolume) -> tuple[float, float]:
    from VILAM3SlicerLib.viewer.ask import NamedByTheScript

    http = HttpxHttp(read_address(url), NamedByTheScript(), key)
    told: list[Any] = []
    start = tick = time.perf_counter()
    longest = 0.0
    send = BackendTransport(http).put_volume
    send(volume, lambda: told.append(None), told.append, lambda _sent, _length: None)
    while not told:
        await asyncio.sleep(TICK)
        now = time.perf_counter()
        longest, tick = max(longest, now - tick - TICK), now
    await http.close_connections()
    if told[0] is not None:
        raise told[0]
    return tick - start, longest


@contextmanager
def _service() -> Iterator[tuple[str, str]]:
    """Address and key of the real service with a fake model, in a process of its own."""
    key = secrets.token_urlsafe()
    command = [sys.executable, "-m", "Testing.inference_backend.service.fake_backend", "0", key]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"], key
    finally:
        process.terminate()
        process.wait()
