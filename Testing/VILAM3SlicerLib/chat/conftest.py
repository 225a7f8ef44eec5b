"""A world that the conversation can be tried in without network, scene or event loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from VILAM3SlicerLib.chat.decision import Decision
from VILAM3SlicerLib.chat.interfaces import PackedScan, PackedSequence, PackedVolume
from VILAM3SlicerLib.chat.marks import NO_MARKS, Marks
from VILAM3SlicerLib.chat.presenter import Presenter
from VILAM3SlicerLib.chat.turn import QuestionImage
from VILAM3SlicerLib.protocol.errors import VilaM3Error
from VILAM3SlicerLib.protocol.events import Event, ExpertResult, Payload
from VILAM3SlicerLib.protocol.messages import IDENTITY, ViewGeometry, ViewMode
from VILAM3SlicerLib.protocol.nrrd import NrrdVolume, encode_nrrd

PNG = b"\x89PNG a picture"
LABELMAP = NrrdVolume("uint8", (1, 1, 2), IDENTITY, b"\x01\x02")


@dataclass
class Stream:
    """One open answer of the fake network."""

    turn_id: str
    after: int
    on_event: Callable[[Event], None]
    on_done: Callable[[], None]
    on_error: Callable[[VilaM3Error], None]


@dataclass
class Upload:
    """A volume on its way, for as long as the test likes."""

    on_done: Callable[[], None]
    on_sent: Callable[[int, int | None], None]
    is_ended: bool = False

    def end(self) -> None:
        self.is_ended = True


@dataclass
class FakeTransport:
    """Keeps what was asked for; the test answers."""

    requests: list[Mapping[str, Any]] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    volumes: list[PackedVolume] = field(default_factory=list)
    images: dict[str, bytes] = field(default_factory=dict)
    volume_error: VilaM3Error | None = None
    holds_volumes: bool = False
    uploads: list[Upload] = field(default_factory=list)

    def put_volume(self, volume, on_done, on_error, on_sent):
        self.volumes.append(volume)
        self.uploads.append(Upload(on_done, on_sent))
        if self.holds_volumes:
            return self.uploads[-1].end
        if self.volume_error is None:
            on_done()
        else:
            on_error(self.volume_error)
        return self.uploads[-1].end

    def start_turn(self, request, on_event, on_done, on_error) -> None:
        self.requests.append(request)
        self.streams.append(Stream(request["vilam3"]["turn_id"], 0, on_event, on_done, on_error))

    def resume_turn(self, turn_id, after, on_event, on_done, on_error) -> None:
        self.streams.append(Stream(turn_id, after, on_event, on_done, on_error))

    def cancel_turn(self, turn_id) -> None:
        self.cancelled.append(turn_id)

    def get_image(self, sha256, on_done, on_error) -> None:
        if sha256 in self.images:
            on_done(self.images[sha256])
        else:
            on_error(VilaM3Error("gone"))

    def get_result(self, result_id, on_done, on_error) -> None:
        on_done(encode_nrrd(LABELMAP))


@dataclass
class FakeScene:
    """Remembers whose results are shown."""

    shown: list[tuple[str, ExpertResult]] = field(default_factory=list)
    error: VilaM3Error | None = None
    pieces: int = 0
    pieces_shown: int = 0
    to_decide: Decision | None = None
    kept: dict[str, Any] = field(default_factory=dict)
    sequences: tuple[PackedSequence, ...] = ()
    marks: Marks = NO_MARKS

    def capture(self, mode: ViewMode) -> tuple[QuestionImage, ...]:
        image = QuestionImage(PNG, ViewGeometry(mode, "axial", 4, 3, IDENTITY, 400, 50), "chest")
        return (image,) * max(1, len(self.sequences))

    def pack_volumes(self):
        return lambda: PackedScan(PackedVolume("ab" * 32, (b"NRRD",)), self.sequences)

    def take_marks(self) -> Marks:
        marks, self.marks = self.marks, NO_MARKS
        return marks

    def put_marks(self, marks: Marks) -> None:
        self.marks = marks

    def show_result(self, turn_id, result, labelmap) -> None:
        assert labelmap.shape == LABELMAP.shape
        if self.error is not None:
            raise self.error
        for _ in range(self.pieces):
            self.pieces_shown += 1
            yield
        self.shown.append((turn_id, result))
        return self.to_decide

    def remove_results(self, turn_id):
        self.shown = [one for one in self.shown if one[0] != turn_id]
        return self.to_decide
        yield

    def keep_conversation(self, archive) -> None:
        self.kept = archive


class FakeHost:
    """Does everything at once; ``clock`` moves only when the test says so."""

    def __init__(self) -> None:
        self.clock = 100.0
        self.delays: list[float] = []
        self.is_slow = False
        self.holds_later = False
        self.waiting: list[Callable[[], None]] = []

    def in_background(self, work, on_done, on_error) -> None:
        if self.is_slow:
            self.waiting.append(lambda: on_done(work()))
            return
        try:
            value = work()
        except VilaM3Error as error:
            on_error(error)
        else:
            on_done(value)

    def later(self, seconds, action) -> None:
        self.delays.append(seconds)
        if self.holds_later:
            self.waiting.append(action)
        else:
            action()

    def now(self) -> float:
        return self.clock


class Talk:
    """A presenter with its world, and short words to play the backend."""

    def __init__(self) -> None:
        self.transport = FakeTransport()
        self.scene = FakeScene()
        self.host = FakeHost()
        self.presenter = Presenter(self.transport, self.scene, self.host)
        self.sequence = 0

    def ask(self, text: str = "Segment the lungs.") -> str:
        self.sequence = 0
        return self.presenter.ask(text, "CT", "as_seen").turn_id

    def say(self, *payloads: Payload) -> None:
        for payload in payloads:
            self.sequence += 1
            stream = self.transport.streams[-1]
            stream.on_event(Event(stream.turn_id, self.sequence, payload))

    @property
    def turn(self):
        return self.presenter.turns[-1]


@pytest.fixture
def talk() -> Talk:
    return Talk()
