"""A question and all that came of it, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from VILAM3SlicerLib.chat.marks import NO_MARKS, Marks
from VILAM3SlicerLib.chat.spoken import spoken
from VILAM3SlicerLib.chat.words import model_name
from VILAM3SlicerLib.protocol.content_hash import content_hash
from VILAM3SlicerLib.protocol.errors import ErrorBody
from VILAM3SlicerLib.protocol.events import (
    Answer,
    ExpertCalled,
    ExpertFailed,
    ExpertResult,
    Finding,
    HeatMap,
    LegendEntry,
    Notice,
    Prompt,
    SegmentInfo,
)
from VILAM3SlicerLib.protocol.messages import ModelDescription, MriRole, StoredRange, ViewGeometry

TurnState = Literal["sending", "queued", "thinking", "expert", "done", "failed", "stopped"]
ENDED: tuple[TurnState, ...] = ("done", "failed", "stopped")


@dataclass(frozen=True)
class QuestionImage:
    """An image as it is sent: PNG bytes and where it lies in the patient.

    ``name`` is that of the volume in it; it may be a patient's, and is not sent.
    """

    png: bytes = field(repr=False)
    geometry: ViewGeometry
    name: str = ""

    @cached_property
    def sha256(self) -> str:
        """The name of the image on the wire."""
        return content_hash(self.png)


@dataclass(frozen=True)
class QuestionSequence:
    """A volume of an MRI study: what it is, its name here, and its hash."""

    role: MriRole
    name: str
    volume: str


@dataclass(frozen=True)
class Question:
    """What the person asked, with the images shown at that moment and the volume's hash and
    stored range, once known.

    With an MRI study there is an image of each of its ``sequences``, in their order. ``marks`` were placed
    for this question, in the frame of the volume.
    """

    text: str
    modality: str
    images: tuple[QuestionImage, ...] = ()
    volume: str | None = None
    sequences: tuple[QuestionSequence, ...] = ()
    marks: Marks = NO_MARKS
    stored_range: StoredRange | None = None


@dataclass(frozen=True)
class Reply:
    """One reply of the model within a turn; times are seconds on the presenter's clock."""

    step: int
    prompt: Prompt | None = None
    text: str = ""
    first_text_at: float | None = None


@dataclass(frozen=True)
class ExpertRun:
    """A call of an expert and what has come of it so far."""

    call: ExpertCalled
    started: float
    fraction: float = 0.0
    message: str = ""
    result: ExpertResult | None = None
    failure: ExpertFailed | None = None

    @property
    def is_running(self) -> bool:
        """Whether neither a result nor a failure has arrived."""
        return self.result is None and self.failure is None


@dataclass(frozen=True)
class Turn:
    """A question and everything that happened; ``sequence`` is that of the last event taken in.

    ``model`` is what was asked, as far as it was known then.
    ``fraction_sent`` is how much of the volume that goes out now has gone, None where nobody knows.
    """

    turn_id: str
    question: Question
    started: float
    state: TurnState = "sending"
    activity: str = ""
    fraction_sent: float | None = None
    sequence: int = 0
    replies: tuple[Reply, ...] = ()
    experts: tuple[ExpertRun, ...] = ()
    notices: tuple[Notice, ...] = ()
    answer: Answer | None = None
    error: ErrorBody | None = None
    ended: float | None = None
    model: ModelDescription | None = None

    @property
    def is_running(self) -> bool:
        """Whether more may still come."""
        return self.state not in ENDED

    @property
    def text(self) -> str:
        """What the model has said to the person so far; without what calls an expert, or may."""
        if self.answer is not None:
            return self.answer.text
        called = {run.call.step for run in self.experts}
        replies = [reply.text for reply in self.replies if reply.step not in called]
        return spoken(replies[-1]) if replies else ""

    @property
    def model_name(self) -> str:
        """The model that answered, by the name in its answer; a demo model is called one."""
        said = self.answer.model if self.answer is not None else ""
        if self.model is not None and said in ("", self.model.name):
            return model_name(self.model)
        return said

    @property
    def segments(self) -> tuple[SegmentInfo, ...]:
        """The segments that experts found in this turn, in the order in which they came."""
        return tuple(segment for run in self.experts if run.result for segment in run.result.segments)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings that experts rated in this turn."""
        return tuple(finding for run in self.experts if run.result for finding in run.result.findings)

    def heat_map(self, finding: str) -> HeatMap | None:
        """Where an expert of this turn saw a finding; None where it did not say."""
        maps = [one for run in self.experts if run.result for one in run.result.heat_maps]
        return next((one for one in maps if one.finding == finding), None)

    @property
    def legend(self) -> tuple[LegendEntry, ...]:
        """What the colours of the overlay shown last to the model stand for."""
        legends = [run.result.legend for run in self.experts if run.result]
        return legends[-1] if legends else ()

    def seconds(self, now: float) -> float:
        """How long the turn has taken, or took."""
        return (self.ended if self.ended is not None else now) - self.started
