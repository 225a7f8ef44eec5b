"""A backend that speaks the wire on loopback and answers from a script, at a pace that tests can count on.

``python -m Testing.browser_viewer.fake_backend`` runs it alone, for working on the viewer.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from aiohttp import web

from inference_backend.imaging.overlay import encode_png
from VILAM3SlicerLib.protocol import PROTOCOL_VERSION
from VILAM3SlicerLib.protocol.codec import to_json
from VILAM3SlicerLib.protocol.content_hash import content_hash
from VILAM3SlicerLib.protocol.errors import ErrorBody
from VILAM3SlicerLib.protocol.events import (
    Answer,
    Event,
    ExpertCalled,
    ExpertProgress,
    ExpertResult,
    Finding,
    HeatMap,
    LegendEntry,
    Payload,
    Prompt,
    Queued,
    SeenImage,
    SegmentInfo,
    Stopped,
    Text,
    event_to_json,
)
from VILAM3SlicerLib.protocol.messages import BackendStatus, ModelDescription
from VILAM3SlicerLib.protocol.nrrd import NrrdVolume, decode_nrrd, encode_nrrd

KEY = "test-key"
MANY = 117
"""Structures that are found where a question asks for many: as many as VISTA3D knows."""
STRONGEST = (5, 2)
"""Column and row of the heat map's strongest pixel."""

MODEL = ModelDescription("Scripted demo model", "vicuna_v1", 16, 224, 2048, True, "cpu", "float32")


@dataclass
class _Turn:
    events: list[Event] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    task: asyncio.Task[None] | None = None

    async def say(self, turn_id: str, payload: Payload, pause: float = 0.0) -> None:
        await asyncio.sleep(pause)
        async with self.news:
            self.events.append(Event(turn_id, len(self.events) + 1, payload))
            self.news.notify_all()


class FakeBackend:
    """Starts on a free port in a thread of its own. ``requests`` holds the bodies of the questions asked."""

    def __init__(self, port: int = 0, pause: float = 0.05, key: str = KEY) -> None:
        self.port = port
        self._key = key
        self.pause = pause
        self.requests: list[dict[str, Any]] = []
        self.cancelled: list[str] = []
        self.volumes: dict[str, NrrdVolume] = {}
        self.puts = 0
        self.cut_next_stream = False
        self._images: dict[str, bytes] = {}
        self._results: dict[str, bytes] = {}
        self._turns: dict[str, _Turn] = {}
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> FakeBackend:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def stop(self) -> None:
        """Ends at once, in the middle of whatever is being said."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()

    async def _start(self) -> None:
        app = web.Application(middlewares=[self._check_key], client_max_size=1 << 30)
        app.add_routes(
            [
                web.get("/v1/status", self._status),
                web.head("/v1/volumes/{name}", self._has_volume),
                web.put("/v1/volumes/{name}", self._put_volume),
                web.get("/v1/images/{name}", self._image),
                web.get("/v1/results/{name}", self._result),
                web.post("/v1/chat/completions", self._ask),
                web.get("/v1/turns/{name}/events", self._read_again),
                web.post("/v1/turns/{name}/cancel", self._cancel),
            ]
        )
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    @web.middleware
    async def _check_key(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {self._key}":
            return web.json_response(ErrorBody("unauthorized", "The key is wrong.").to_json(), status=401)
        response: web.StreamResponse = await handler(request)
        return response

    async def _end(self) -> None:
        await self._runner.cleanup()
        await asyncio.sleep(0.2)  # lets the sockets close, as those of a killed process do

    async def _status(self, _: web.Request) -> web.Response:
        status = BackendStatus(PROTOCOL_VERSION, "ready", model=MODEL, max_prompt_characters=8000)
        return web.json_response(to_json(status))

    async def _has_volume(self, request: web.Request) -> web.Response:
        return web.Response(status=200 if request.match_info["name"] in self.volumes else 404)

    async def _put_volume(self, request: web.Request) -> web.Response:
        self.puts += 1
        self.volumes[request.match_info["name"]] = decode_nrrd(await request.read())
        return web.Response(status=201)

    async def _image(self, request: web.Request) -> web.Response:
        return _bytes(self._images.get(request.match_info["name"]))

    async def _result(self, request: web.Request) -> web.Response:
        return _bytes(self._results.get(request.match_info["name"]))

    async def _ask(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        for url in _image_urls(body["messages"]):
            if url.startswith("sha256:") and url[7:] not in self._images:
                error = ErrorBody("image_unknown", "The image is not known here.", "Send it again.")
                return web.json_response(error.to_json(), status=404)
        self.requests.append(body)
        turn_id = body["vilam3"]["turn_id"]
        turn = self._turns[turn_id] = _Turn()
        turn.task = asyncio.create_task(self._answer(turn, turn_id, body))
        return await self._stream(request, turn, 0)

    async def _read_again(self, request: web.Request) -> web.StreamResponse:
        turn = self._turns.get(request.match_info["name"])
        if turn is None:
            return web.json_response(ErrorBody("not_found", "No such turn.").to_json(), status=404)
        return await self._stream(request, turn, int(request.query["after"]))

    async def _cancel(self, request: web.Request) -> web.Response:
        turn_id = request.match_info["name"]
        self.cancelled.append(turn_id)
        turn = self._turns[turn_id]
        if turn.task is not None and turn.task.cancel():
            await turn.say(turn_id, Stopped("Stopped by the person."))
        return web.Response(status=202)

    async def _stream(self, request: web.Request, turn: _Turn, after: int) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        async for event in _events(turn, after):
            if request.transport is None or request.transport.is_closing():
                return response
            chunk = json.dumps({"object": "chat.completion.chunk", "vilam3": event_to_json(event)})
            await response.write(f"id: {event.sequence}\ndata: {chunk}\n\n".encode())
            if self.cut_next_stream and event.sequence == 3:
                self.cut_next_stream = False
                assert request.transport is not None
                request.transport.abort()
                return response
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _answer(self, turn: _Turn, turn_id: str, body: dict[str, Any]) -> None:
        last = body["messages"][-1]["content"]
        question = next(part["text"] for part in last if part["type"] == "text")
        image = _keep_images(last, self._images)
        await turn.say(turn_id, Queued(0))
        await turn.say(turn_id, _prompt(0, question, image))
        if "segment" in question.lower():
            await self._segment(turn, turn_id, body["vilam3"]["volume"], image, question)
        elif "x-ray" in question.lower():
            await self._rate(turn, turn_id, body["vilam3"]["volume"], image, question)
        elif "slow" in question.lower():
            await self._speak(turn, turn_id, 0, "word " * 400)
        else:
            await self._speak(
                turn, turn_id, 0, "I see a contrast CT of the chest. The red area is an example."
            )

    async def _segment(self, turn: _Turn, turn_id: str, volume: str, image: str, question: str) -> None:
        trigger = "<CT_TISSUE(lungs)>"
        await turn.say(turn_id, Text(0, trigger), self.pause)
        await turn.say(turn_id, ExpertCalled("c1", 0, "CT_TISSUE", "lungs", "1.0", trigger, trigger))
        for step in range(5):
            progress = ExpertProgress("c1", step / 5, f"Looking for the lungs ({step + 1} of 5)")
            await turn.say(turn_id, progress, self.pause * 4)
        find = self._find_many if "many" in question.lower() else self._find_lungs
        result = await asyncio.to_thread(find, volume, image)
        await turn.say(turn_id, result)
        await turn.say(turn_id, _prompt(1, question + result.feedback_text, image))
        left, right = (segment.volume_ml for segment in result.segments[:2])
        words = f"The left lung measures {left:.0f} mL and the right lung {right:.0f} mL. It is shown in red."
        await self._speak(turn, turn_id, 1, words)

    async def _rate(self, turn: _Turn, turn_id: str, volume: str, image: str, question: str) -> None:
        """Findings, one of them with a heat map whose strongest place is ``STRONGEST`` of its 8x8 pixels."""
        trigger = "<CXR()>"
        await turn.say(turn_id, Text(0, trigger), self.pause)
        await turn.say(turn_id, ExpertCalled("c1", 0, "CXR", "", "torchxrayvision v1", trigger, trigger))
        findings = (Finding("atelectasis", 0.31), Finding("effusion", 0.82), Finding("hernia", 0.5))
        text = "The resulting predictions are:\natelectasis: no\neffusion: yes\nhernia: yes\n."
        heat = (self._heat_map(self.volumes[volume]),)
        result = ExpertResult("c1", "CXR", "torchxrayvision v1", "", 0.4, text, None, findings=findings)
        await turn.say(turn_id, replace(result, heat_maps=heat))
        await turn.say(turn_id, _prompt(1, question + text, image))
        await self._speak(turn, turn_id, 1, "There are signs of an effusion.")

    def _heat_map(self, volume: NrrdVolume) -> HeatMap:
        pixels = np.zeros((8, 8), np.uint8)
        pixels[STRONGEST[1], STRONGEST[0]] = 255
        png = encode_png(pixels)
        self._images[content_hash(png)] = png
        step = min(volume.shape[:2]) / 8
        square = np.diag([step, step, 1.0, 1.0])
        square[:2, 3] = (step - 1) / 2
        matrix = np.array(volume.ijk_to_ras).reshape(4, 4) @ square
        place = tuple(float(number) for number in matrix.ravel())
        return HeatMap("effusion", content_hash(png), 8, 8, place, "densenet121-res224-all")

    async def _speak(self, turn: _Turn, turn_id: str, step: int, words: str) -> None:
        for word in words.split(" "):
            await turn.say(turn_id, Text(step, word + " "), self.pause)
        await turn.say(turn_id, Answer(step, words, "stop", 100, len(words.split()), MODEL.name, 1.0))

    def _find_many(self, name: str, image: str) -> ExpertResult:
        """As many structures as VISTA3D knows, in slabs of a labelmap of the scan's size."""
        volume = self.volumes[name]
        i, j, k = volume.shape
        slabs = np.arange(k) * MANY // k + 1
        labels = np.zeros((k, j, i), np.uint8)
        labels[:, j // 4 : -j // 4, i // 4 : -i // 4] = slabs[:, None, None]
        result = encode_nrrd(NrrdVolume("uint8", volume.shape, volume.ijk_to_ras, labels.tobytes()), True)
        self._results[content_hash(result)[:12]] = result
        segments = tuple(
            SegmentInfo(f"structure {value}", (value,), "", int((labels == value).sum()), 1.0, None)
            for value in range(1, MANY + 1)
        )
        return ExpertResult(
            "c1", "CT_TISSUE", "1.0", "everything", 1.2, "Many.", image, content_hash(result)[:12], segments
        )

    def _find_lungs(self, name: str, image: str) -> ExpertResult:
        """Air within a box around the middle, split between left and right: enough to look at."""
        volume = self.volumes[name]
        i, j, k = volume.shape
        voxels = np.frombuffer(volume.voxels, volume.dtype).reshape(k, j, i)
        labels = np.zeros((k, j, i), np.uint8)
        box = (slice(k // 6, -k // 6), slice(j // 5, -j // 5), slice(i // 6, -i // 6))
        labels[box] = voxels[box] < -400
        half = np.arange(i) > i // 2
        labels[:, :, half] *= 2 if volume.ijk_to_ras[0] > 0 else 1
        labels[:, :, ~half] *= 1 if volume.ijk_to_ras[0] > 0 else 2
        result = encode_nrrd(NrrdVolume("uint8", volume.shape, volume.ijk_to_ras, labels.tobytes()), True)
        self._results[content_hash(result)[:12]] = result
        segments = (_segment("left lung", 1, labels, volume), _segment("right lung", 2, labels, volume))
        legend = (
            LegendEntry("red", (1.0, 0.0, 0.0), "left lung"),
            LegendEntry("blue", (0.0, 0.0, 1.0), "right lung"),
        )
        text = "The results are <image>. The colors in this image describe red: left lung, blue: right lung. "
        return ExpertResult(
            "c1", "CT_TISSUE", "1.0", "lungs", 1.2, text, image, content_hash(result)[:12], segments, legend
        )


def _segment(name: str, value: int, labels: np.ndarray, volume: NrrdVolume) -> SegmentInfo:
    matrix = np.array(volume.ijk_to_ras).reshape(4, 4)
    places = np.argwhere(labels == value)
    center = None
    if len(places):
        k, j, i = places[np.argmin(np.abs(places - places.mean(axis=0)).sum(axis=1))]
        center = tuple(float(x) for x in (matrix @ (i, j, k, 1))[:3])
    millilitres = len(places) * abs(np.linalg.det(matrix[:3, :3])) / 1000
    return SegmentInfo(name, (value,), "Lung", len(places), millilitres, center)


def _prompt(step: int, question: str, image: str) -> Prompt:
    return Prompt(
        step,
        f"A chat. USER: <image>\nThis is a CT image.\n{question} ASSISTANT:",
        64,
        (SeenImage(image, image),),
    )


def _keep_images(parts: list[dict[str, Any]], shelf: dict[str, bytes]) -> str:
    """Keep the pictures of a question; returns the name of the first."""
    import base64

    names = []
    for url in _image_urls([{"content": parts}]):
        if url.startswith("sha256:"):
            names.append(url[7:])
            continue
        png = base64.b64decode(url.partition(",")[2])
        shelf[content_hash(png)] = png
        names.append(content_hash(png))
    return names[0]


def _image_urls(messages: list[dict[str, Any]]) -> list[str]:
    contents = [message["content"] for message in messages if isinstance(message["content"], list)]
    return [part["image_url"]["url"] for parts in contents for part in parts if part["type"] == "image_url"]


async def _events(turn: _Turn, after: int) -> AsyncIterator[Event]:
    while True:
        async with turn.news:
            await turn.news.wait_for(lambda seen=after: len(turn.events) > seen)
            new = turn.events[after:]
        for event in new:
            yield event
            if event.is_final:
                return
        after += len(new)


def _bytes(data: bytes | None) -> web.Response:
    return web.Response(body=data) if data is not None else web.Response(status=404)


if __name__ == "__main__":
    FakeBackend(port=8741).start()
    print(f"http://127.0.0.1:8741 with the key {KEY}")
    threading.Event().wait()
