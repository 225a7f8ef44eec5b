"""Behind the scenes of a turn: everything that the model was given and gave, as a view shows it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from VILAM3SlicerLib.chat.finding_rows import FindingRow, finding_rows
from VILAM3SlicerLib.chat.images import ImageShelf
from VILAM3SlicerLib.chat.rows import css_colour, image_caption
from VILAM3SlicerLib.chat.turn import ExpertRun, QuestionImage, Reply, Turn
from VILAM3SlicerLib.protocol.codec import to_json
from VILAM3SlicerLib.protocol.events import HeatMap, LegendEntry
from VILAM3SlicerLib.protocol.phrases import phrases

_ = phrases(__name__)


@dataclass(frozen=True)
class SentImage:
    """A picture as it was sent, as PNG, and where it lay."""

    png: bytes
    caption: str


@dataclass(frozen=True)
class ReplyRow:
    """One reply: the exact prompt, the pictures as the model saw them (PNG), the words."""

    step: int
    prompt: str
    tokens: int
    seen: tuple[bytes, ...]
    reply: str
    first_text: str


@dataclass(frozen=True)
class LegendRow:
    """A colour of the overlay and the segment it stands for."""

    colour: str
    text: str


@dataclass(frozen=True)
class HeatRow:
    """A heat map as PNG, white where the signs of the finding are strongest."""

    finding: str
    png: bytes


@dataclass(frozen=True)
class BehindExpert:
    """One call of an expert: the words that called it, what went back to the model, the raw result.

    ``heat_maps`` are shown to the person, not to the model.
    """

    name: str
    trigger: str
    feedback: str
    overlay: bytes | None
    legend: tuple[LegendRow, ...]
    raw: str
    findings: tuple[FindingRow, ...] = ()
    heat_maps: tuple[HeatRow, ...] = ()


@dataclass(frozen=True)
class TimeRow:
    """A time, or another number, and what it is of."""

    what: str
    value: str


@dataclass(frozen=True)
class BehindRow:
    """A turn from behind; images that are nowhere any more are left out."""

    id: str
    question: str
    sent: tuple[SentImage, ...]
    replies: tuple[ReplyRow, ...]
    experts: tuple[BehindExpert, ...]
    times: tuple[TimeRow, ...]


def behind_row(turn: Turn, shelf: ImageShelf) -> BehindRow:
    """Everything that the model was given and gave in a turn."""
    return BehindRow(
        id=turn.turn_id,
        question=turn.question.text,
        sent=tuple(_sent(image) for image in turn.question.images),
        replies=tuple(_reply(reply, turn, shelf) for reply in turn.replies),
        experts=tuple(_expert(run, shelf) for run in turn.experts),
        times=_times(turn),
    )


def _sent(image: QuestionImage) -> SentImage:
    return SentImage(image.png, image_caption(image))


def _reply(reply: Reply, turn: Turn, shelf: ImageShelf) -> ReplyRow:
    seen = [shelf.get(image.seen) for image in reply.prompt.images] if reply.prompt else []
    return ReplyRow(
        step=reply.step + 1,
        prompt=reply.prompt.text if reply.prompt else "",
        tokens=reply.prompt.tokens if reply.prompt else 0,
        seen=tuple(png for png in seen if png),
        reply=reply.text,
        first_text=_seconds(reply.first_text_at, turn.started),
    )


def _expert(run: ExpertRun, shelf: ImageShelf) -> BehindExpert:
    result = run.result
    what_came = to_json(result) if result else to_json(run.failure) if run.failure else {}
    overlay = result.feedback_image if result else None
    feedback = result.feedback_text if result else run.failure.feedback_text if run.failure else ""
    return BehindExpert(
        name=f"{run.call.expert} {run.call.version}",
        trigger=run.call.trigger,
        feedback=feedback,
        overlay=shelf.get(overlay) if overlay else None,
        legend=_legend(result.legend if result else ()),
        raw=json.dumps(what_came, indent=2, ensure_ascii=False),
        findings=finding_rows(result) if result else (),
        heat_maps=_heat_maps(result.heat_maps if result else (), shelf),
    )


def _heat_maps(maps: Sequence[HeatMap], shelf: ImageShelf) -> tuple[HeatRow, ...]:
    found = [(heat.finding, shelf.get(heat.image)) for heat in maps]
    return tuple(HeatRow(finding, png) for finding, png in found if png)


def _legend(entries: Sequence[LegendEntry]) -> tuple[LegendRow, ...]:
    return tuple(
        LegendRow(css_colour([round(255 * channel) for channel in entry.rgb]), entry.segment)
        for entry in entries
    )


def _times(turn: Turn) -> tuple[TimeRow, ...]:
    rows = [(_("Question to end"), _seconds(turn.ended, turn.started))]
    rows += [
        (
            _("First text of reply {number}").format(number=reply.step + 1),
            _seconds(reply.first_text_at, turn.started),
        )
        for reply in turn.replies
    ]
    rows += [
        (_("{expert} computed").format(expert=run.call.expert), f"{run.result.seconds:.1f} s")
        for run in turn.experts
        if run.result
    ]
    if turn.answer is not None:
        answer = turn.answer
        counts = _("{read} in, {written} out")
        counts = counts.format(read=answer.prompt_tokens, written=answer.completion_tokens)
        rows.append((_("Tokens"), counts))
        rows.append((_("Model"), turn.model_name))
    return tuple(TimeRow(what, value) for what, value in rows if value)


def _seconds(moment: float | None, start: float) -> str:
    return f"{moment - start:.1f} s" if moment is not None else ""
