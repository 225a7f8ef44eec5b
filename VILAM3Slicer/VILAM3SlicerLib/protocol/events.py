"""What happens in a turn, in the order in which it happens.

Each event has the turn it belongs to, a sequence number that counts from 1 without gaps, and a payload.
On the wire it is one flat JSON object with the payload's ``type``; types that a reader does not know are
to be ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from VILAM3SlicerLib.protocol.codec import from_json, to_json
from VILAM3SlicerLib.protocol.errors import ErrorBody
from VILAM3SlicerLib.protocol.messages import Matrix

Color = tuple[float, float, float]
"""Red, green and blue, each 0 to 1."""

Point = tuple[float, float, float]
"""RAS in mm."""


@dataclass(frozen=True)
class Queued:
    """The turn waits; ``position`` turns run or wait before it."""

    position: int
    type: Literal["queued"] = "queued"


@dataclass(frozen=True)
class Notice:
    """Something that the person should know and need not act on, such as a shortened history."""

    code: str
    message: str
    type: Literal["notice"] = "notice"


@dataclass(frozen=True)
class SeenImage:
    """An image as it was sent and as the model saw it (square, RGB), both by the SHA-256 of their PNG."""

    sent: str
    seen: str


@dataclass(frozen=True)
class Prompt:
    """The exact text given to the model in reply ``step`` of the turn, and its images in order."""

    step: int
    text: str
    tokens: int
    images: tuple[SeenImage, ...]
    type: Literal["prompt"] = "prompt"


@dataclass(frozen=True)
class Text:
    """The next piece of reply ``step``."""

    step: int
    delta: str
    type: Literal["text"] = "text"


@dataclass(frozen=True)
class ExpertCalled:
    """Reply ``step`` named an expert; ``trigger`` is the words that did, ``reply`` the whole reply."""

    call_id: str
    step: int
    expert: str
    arguments: str
    version: str
    trigger: str
    reply: str
    type: Literal["expert_called"] = "expert_called"


@dataclass(frozen=True)
class ExpertProgress:
    """How far the expert is; ``fraction`` is 0 to 1."""

    call_id: str
    fraction: float
    message: str
    type: Literal["expert_progress"] = "expert_progress"


@dataclass(frozen=True)
class SegmentInfo:
    """One segment of a result.

    ``label_values`` are the values of the labelmap that make it up. ``terminology`` is its label in Slicer's
    "3D Slicer General Anatomy list", empty where there is none. ``center`` lies inside the segment.
    """

    name: str
    label_values: tuple[int, ...]
    terminology: str
    voxel_count: int
    volume_ml: float
    center: Point | None


@dataclass(frozen=True)
class LegendEntry:
    """A colour of the overlay that went to the model and the segment it stands for."""

    colour: str
    rgb: Color
    segment: str


@dataclass(frozen=True)
class Finding:
    """A finding with its probability, 0 to 1."""

    name: str
    probability: float


@dataclass(frozen=True)
class HeatMap:
    """Where an expert saw signs of a finding.

    ``image`` is the SHA-256 of a grey PNG with ``columns`` and ``rows``: 255 where the signs are strongest, 0
    where there are none. ``pixel_to_ras`` maps the centre of a pixel (column, row from the top, 0, 1) to RAS
    in mm, in the volume's own frame. ``source`` names the network.
    """

    finding: str
    image: str
    columns: int
    rows: int
    pixel_to_ras: Matrix
    source: str


@dataclass(frozen=True)
class ExpertResult:
    """What an expert returned, and what of it went back to the model.

    ``result_id`` names the labelmap (GET /v1/results/{result_id}), None for findings without one.
    ``feedback_image`` is the SHA-256 of the overlay that the model was shown.
    """

    call_id: str
    expert: str
    version: str
    arguments: str
    seconds: float
    feedback_text: str
    feedback_image: str | None = None
    result_id: str | None = None
    segments: tuple[SegmentInfo, ...] = ()
    legend: tuple[LegendEntry, ...] = ()
    findings: tuple[Finding, ...] = ()
    heat_maps: tuple[HeatMap, ...] = ()
    type: Literal["expert_result"] = "expert_result"


@dataclass(frozen=True)
class ExpertFailed:
    """An expert failed; the model was told and goes on."""

    call_id: str
    expert: str
    error: ErrorBody
    feedback_text: str
    type: Literal["expert_failed"] = "expert_failed"


@dataclass(frozen=True)
class Answer:
    """The final reply; the turn has ended well."""

    step: int
    text: str
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int
    model: str
    seconds: float
    type: Literal["answer"] = "answer"


@dataclass(frozen=True)
class Failed:
    """The turn ended with an error."""

    error: ErrorBody
    type: Literal["failed"] = "failed"


@dataclass(frozen=True)
class Stopped:
    """The turn was cancelled; what had been said stays."""

    reason: str
    type: Literal["cancelled"] = "cancelled"


@dataclass(frozen=True)
class Heartbeat:
    """Nothing new; the turn lives."""

    type: Literal["heartbeat"] = "heartbeat"


Payload = (
    Queued
    | Notice
    | Prompt
    | Text
    | ExpertCalled
    | ExpertProgress
    | ExpertResult
    | ExpertFailed
    | Answer
    | Failed
    | Stopped
    | Heartbeat
)

_PAYLOADS: dict[str, Any] = {
    kind.type: kind
    for kind in (
        Queued,
        Notice,
        Prompt,
        Text,
        ExpertCalled,
        ExpertProgress,
        ExpertResult,
        ExpertFailed,
        Answer,
        Failed,
        Stopped,
        Heartbeat,
    )
}

FINAL = (Answer, Failed, Stopped)
"""The payloads that end a turn."""


@dataclass(frozen=True)
class Event:
    """One event of one turn."""

    turn_id: str
    sequence: int
    payload: Payload

    @property
    def is_final(self) -> bool:
        """Whether the turn ends with this event."""
        return isinstance(self.payload, FINAL)


def event_to_json(event: Event) -> dict[str, Any]:
    """The event as a flat JSON object."""
    return {"turn_id": event.turn_id, "sequence": event.sequence, **to_json(event.payload)}


def event_from_json(data: Mapping[str, Any]) -> Event | None:
    """The event in a JSON object, or None where its type is not known here.

    Raises:
        InvalidRequest: a field of a known type is missing or malformed.
    """
    kind = _PAYLOADS.get(data.get("type", ""))
    if kind is None:
        return None
    return Event(str(data["turn_id"]), int(data["sequence"]), from_json(kind, data))
