"""What the conversation needs of the world: the network, the scene and the event loop.

Each front end brings its own: Qt's network classes and timers on the desktop, asyncio in the browser viewer.
All callbacks come on the thread of the user interface.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from VILAM3SlicerLib.chat.decision import Decision
from VILAM3SlicerLib.chat.marks import Marks
from VILAM3SlicerLib.chat.turn import QuestionImage
from VILAM3SlicerLib.protocol.errors import VilaM3Error
from VILAM3SlicerLib.protocol.events import Event, ExpertResult
from VILAM3SlicerLib.protocol.messages import MriRole, StoredRange, ViewMode
from VILAM3SlicerLib.protocol.nrrd import NrrdVolume

Value = TypeVar("Value")
OnError = Callable[[VilaM3Error], None]
OnDone = Callable[[], None]
End = Callable[[], None]
"""Ends something that was begun; nothing happens where it has ended."""
OnSent = Callable[[int, int | None], None]
"""Told the bytes that have gone out, and how many there are in all; None where nobody knows."""

SceneWork = Generator[None, None, Decision | None]
"""Work in pieces of a few milliseconds, one at each ``next``; returns what the person is to decide then."""


@dataclass(frozen=True)
class PackedVolume:
    """A volume ready to be sent: its content hash and the NRRD that carries it, in pieces.

    ``stored_range`` is told with each question about it, None where nobody knows it.
    """

    sha256: str
    pieces: tuple[bytes | memoryview, ...] = field(repr=False)
    stored_range: StoredRange | None = None


@dataclass(frozen=True)
class PackedSequence:
    """A volume of an MRI study, ready to be sent."""

    role: MriRole
    name: str
    volume: PackedVolume


@dataclass(frozen=True)
class PackedScan:
    """What a question is about, ready to be sent: a volume, and the MRI study that it belongs to, if any."""

    volume: PackedVolume
    sequences: tuple[PackedSequence, ...] = ()

    @property
    def volumes(self) -> tuple[PackedVolume, ...]:
        """Every volume once, the asked one first."""
        found = {one.sha256: one for one in (self.volume, *(each.volume for each in self.sequences))}
        return tuple(found.values())


class Transport(Protocol):
    """Bytes out, events in. Nothing here blocks; exactly one of the two last callbacks is called, once."""

    def put_volume(self, volume: PackedVolume, on_done: OnDone, on_error: OnError, on_sent: OnSent) -> End:
        """Send a volume unless the backend has it already; ``on_sent`` is told now and then how far it is.

        What is returned ends it: no byte more goes out, and ``on_error`` is called.
        """

    def start_turn(
        self,
        request: Mapping[str, Any],
        on_event: Callable[[Event], None],
        on_done: OnDone,
        on_error: OnError,
    ) -> None:
        """Ask, and read the answer's events until the stream ends (``on_done``) or breaks (``on_error``)."""

    def resume_turn(
        self,
        turn_id: str,
        after: int,
        on_event: Callable[[Event], None],
        on_done: OnDone,
        on_error: OnError,
    ) -> None:
        """Read the events after sequence number ``after`` of a turn that goes on without us."""

    def cancel_turn(self, turn_id: str) -> None:
        """Ask for the turn's end; the event ``cancelled`` tells when it has ended."""

    def get_image(self, sha256: str, on_done: Callable[[bytes], None], on_error: OnError) -> None:
        """Fetch an image as PNG."""

    def get_result(self, result_id: str, on_done: Callable[[bytes], None], on_error: OnError) -> None:
        """Fetch a labelmap as NRRD."""


class Scene(Protocol):
    """What is on the screen, and where results go."""

    def capture(self, mode: ViewMode) -> tuple[QuestionImage, ...]:
        """The images of a question asked now: one, or one of each sequence of an MRI study in its order.

        Raises:
            SceneError: there is nothing to look at; the message says so.
        """

    def pack_volumes(self) -> Callable[[], PackedScan] | None:
        """Work, to be done in the background, that packs the volume on the screen; None without a volume.

        Raises:
            UnsupportedVolume: it, or a sequence of its study, cannot be sent.
            InvalidRequest: the sequences of its study are of different patients.
        """

    def take_marks(self) -> Marks:
        """The points and the box that were placed for the next question; they leave the views."""

    def put_marks(self, marks: Marks) -> None:
        """Place them in the views again."""

    def show_result(self, turn_id: str, result: ExpertResult, labelmap: NrrdVolume) -> SceneWork:
        """Put an expert's segments on the views.

        Raises:
            SceneError: they do not fit the scan any more.
        """

    def remove_results(self, turn_id: str) -> SceneWork:
        """Take back what ``show_result`` showed for a turn, and bring back what that replaced; nothing else
        is touched, and what a person edited is left for them to decide about."""

    def keep_conversation(self, archive: dict[str, Any]) -> None:
        """Keep the conversation (``archive.Packer``) with the scan, so that it is saved with the scene."""


class Host(Protocol):
    """The event loop of the front end."""

    def in_background(
        self, work: Callable[[], Value], on_done: Callable[[Value], None], on_error: OnError
    ) -> None:
        """Do ``work`` on another thread, then tell the outcome on the user interface's own."""

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do ``action`` on the user interface's thread after a while."""

    def now(self) -> float:
        """Seconds on a clock that never goes back."""
