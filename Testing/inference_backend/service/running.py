"""A real service on a loopback port, with a fake model and fake experts behind it."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import uvicorn

from inference_backend.conversation.loop import Conversation
from inference_backend.imaging.volume import Volume
from inference_backend.service.app import create_app
from inference_backend.service.backend import ManagedWeights
from inference_backend.service.server import address, listen, server_config
from inference_backend.service.settings import Clocks, Limits, ServiceSettings
from inference_backend.store.folder import ServiceFolder
from inference_backend.store.store import Store, StoreLimits
from inference_backend.weights.catalogue import read_catalogue
from inference_backend.weights.download import Downloader
from inference_backend.weights.folder import WeightsFolder
from inference_backend.weights.manager import WeightsManager
from Testing.inference_backend.service.fakes import FakeExperts, FakeModel
from VILAM3SlicerLib.protocol.event_stream import EventStreamDecoder, events_in
from VILAM3SlicerLib.protocol.events import Event
from VILAM3SlicerLib.protocol.nrrd import encode_nrrd

KEY = "a key for the tests only"


@dataclass(frozen=True)
class RunningService:
    """A service and the ends by which a test holds it."""

    url: str
    http: httpx.Client
    model: Any
    experts: Any
    store: Store
    folder: Path
    app: Any
    weights: ManagedWeights
    loop: asyncio.AbstractEventLoop

    def without_key(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=20)

    def ask(self, question: str, session: str = "session", **more: Any) -> dict[str, Any]:
        """The body of a streamed question with our field in it."""
        context = {"turn_id": str(uuid.uuid4()), "session": session, **more}
        message = {"role": "user", "content": question}
        return {"messages": [message], "stream": True, "vilam3": context}

    def events(self, body: dict[str, Any]) -> list[Event]:
        """Ask and read to the end."""
        with self.stream(body) as response:
            assert response.status_code == 200, response.read()
            return list(read_events(response))

    def stream(self, body: dict[str, Any]) -> Any:
        return self.http.stream("POST", "/v1/chat/completions", json=body)

    def replay(self, turn_id: str, after: int = 0) -> list[Event]:
        with self.http.stream("GET", f"/v1/turns/{turn_id}/events", params={"after": after}) as response:
            assert response.status_code == 200, response.read()
            return list(read_events(response))

    def put(self, volume: Volume, **more: Any) -> httpx.Response:
        content = encode_nrrd(volume.to_nrrd(), **more)
        return self.http.put(f"/v1/volumes/{volume.content_hash}", content=content)


def read_events(response: httpx.Response) -> Iterator[Event]:
    decoder = EventStreamDecoder()
    for piece in response.iter_bytes():
        yield from events_in(decoder, piece)


def error_of(response: httpx.Response) -> tuple[int, str]:
    """Status and code of an error response that has the shape of the wire."""
    response.read()
    body = json.loads(response.content)
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "hint"}
    assert body["error"]["message"]
    return response.status_code, body["error"]["code"]


def a_volume(seed: int = 0) -> Volume:
    """Small, oblique, of odd sizes."""
    voxels = np.random.default_rng(seed).integers(-1000, 1000, (5, 6, 7)).astype(np.int16)
    matrix = np.array([[-0.7, 0.1, 0, 10], [0.1, -0.8, 0.2, 20], [0, 0.2, 2.5, -30], [0, 0, 0, 1.0]])
    return Volume(voxels, matrix)


def no_weights(root: Path) -> WeightsManager:
    """The real catalogue, of which nothing is here."""
    return WeightsManager(read_catalogue(), Downloader(WeightsFolder(root / "weights", root / "demo_model")))


def fakes(_store: Store) -> tuple[FakeModel, FakeExperts]:
    return FakeModel(), FakeExperts()


@contextmanager
def running(
    root: Path,
    limits: Limits | None = None,
    clocks: Clocks | None = None,
    store: StoreLimits | None = None,
    backends: Callable[[Store], tuple[Any, Any]] = fakes,
    *,
    weights: ManagedWeights | None = None,
) -> Iterator[RunningService]:
    """Start a service in a thread and end it afterwards."""
    with listen("127.0.0.1", 0) as listener, ServiceFolder(root) as folder:
        kept = Store(folder, store)
        model, experts = backends(kept)
        settings = ServiceSettings(KEY, limits=limits or Limits(), clocks=clocks or Clocks())
        converse = Conversation(model, experts, kept).run
        kept_weights = weights or no_weights(root)
        app = create_app(settings, kept, model, experts, converse, weights=kept_weights)
        server = uvicorn.Server(server_config(app))
        started: list[asyncio.AbstractEventLoop] = []

        async def serve() -> None:
            started.append(asyncio.get_running_loop())
            await server.serve(sockets=[listener])

        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        url = address(listener)
        headers = {"Authorization": f"Bearer {KEY}"}
        with httpx.Client(base_url=url, headers=headers, timeout=20) as http:
            try:
                http.get("/healthz").raise_for_status()
                yield RunningService(
                    url, http, model, experts, kept, folder.path, app, kept_weights, started[0]
                )
            finally:
                server.should_exit = True
                thread.join(10)
