"""The conversation and the segments as a view shows them, in words: pure functions, no toolkit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from VILAM3SlicerLib.chat.finding_rows import FindingRow, finding_rows
from VILAM3SlicerLib.chat.links import linked
from VILAM3SlicerLib.chat.marks import mark_rows, told
from VILAM3SlicerLib.chat.turn import ExpertRun, Question, QuestionImage, Turn
from VILAM3SlicerLib.chat.words import millilitres
from VILAM3SlicerLib.protocol.errors import ErrorBody
from VILAM3SlicerLib.protocol.events import Finding
from VILAM3SlicerLib.protocol.messages import ViewGeometry, ViewMode
from VILAM3SlicerLib.protocol.phrases import joined, phrases

_ = phrases(__name__)

MODES: dict[ViewMode, str] = {"as_seen": _("as seen"), "published": _("whole slice")}
_PLANES = {
    "axial": _("axial"),
    "coronal": _("coronal"),
    "sagittal": _("sagittal"),
    "oblique": _("oblique"),
    "3D": _("3D"),
}
_ACROSS = {"sagittal": (0, "RL"), "coronal": (1, "AP"), "axial": (2, "SI")}
"""The patient axis (0 to 2 of RAS) that a plane stands across, and the letters of its two sides."""

_LONGEST_NAME = 40
"""Letters of a volume's name that are shown beside a picture."""

_NAMED = 4
"""So many structures that were not found are named; more are only counted."""

_EARLIEST_FORECAST = 0.05
"""The fraction of an expert's work below which nothing is said of the time that it will take."""


@dataclass(frozen=True)
class SegmentRow:
    """A segment as a list shows it; ``rgb`` is 0 to 255, ``opacity`` 0 to 1.

    ``volume_ml`` is None until it was measured, ``longest_mm`` is the longest diameter of a lesion (see
    ``scene.diameters``) and None for anything else. ``group`` is the heading that it stands under: its
    expert. ``edited``: somebody changed it after it came.
    """

    segment_id: str
    name: str
    rgb: tuple[int, int, int]
    volume_ml: float | None
    visible: bool
    source: str
    opacity: float = 1.0
    longest_mm: float | None = None
    group: str = ""
    edited: bool = False

    @property
    def is_found(self) -> bool:
        """Whether there is anything of it, as far as is known."""
        return self.volume_ml is None or self.volume_ml > 0

    @property
    def size(self) -> str:
        """The volume in words, and a lesion's longest diameter; one that no expert made may be empty yet."""
        if self.volume_ml is None:
            return "…"
        if not self.is_found:
            return _("not found") if self.source else _("empty")
        longest = f", {self.longest_mm:.0f} mm" if self.longest_mm is not None else ""
        return millilitres(self.volume_ml) + longest


def headings(rows: Sequence[SegmentRow]) -> tuple[str, ...]:
    """For each row the heading that stands above it, empty for those that are under the one before."""
    before = ("", *(row.group for row in rows))
    return tuple("" if row.group == last else row.group for row, last in zip(rows, before, strict=False))


@dataclass(frozen=True)
class AnswerSpan:
    """A piece of an answer. ``segment`` is the segment on the screen that it leads to, empty for none;
    ``stands_for`` is the segment where the text has the colour of the model's overlay instead of the name."""

    text: str
    segment: str = ""
    colour: str = ""
    stands_for: str = ""


@dataclass(frozen=True)
class ExpertRow:
    """An expert at work, done or failed; ``percent`` is 0 to 100, ``expected`` empty where nobody knows.

    ``findings`` are those that it rated, the most probable first.
    """

    name: str
    arguments: str
    version: str
    state: str
    detail: str
    percent: int
    elapsed: str
    expected: str
    findings: tuple[FindingRow, ...] = ()


@dataclass(frozen=True)
class TurnRow:
    """A turn as the transcript shows it; ``image`` is the PNG of the first picture sent.

    ``attached`` is what went along with the question, in words: points, box, sequences. ``percent`` is how
    far the work of the moment is, 0 to 100, None where nobody knows.
    """

    id: str
    question: str
    image: bytes | None
    caption: str
    attached: tuple[str, ...]
    state: str
    running: bool
    activity: str
    percent: int | None
    elapsed: str
    paragraphs: tuple[AnswerSpan, ...]
    experts: tuple[ExpertRow, ...]
    notices: tuple[str, ...]
    error: ErrorBody | None
    source: str


def turn_row(turn: Turn, segments: Sequence[SegmentRow], now: float) -> TurnRow:
    """A turn at the moment ``now`` of the presenter's clock, with links to the segments on the screen."""
    image = turn.question.images[0] if turn.question.images else None
    return TurnRow(
        id=turn.turn_id,
        question=turn.question.text,
        image=image.png if image else None,
        caption=image_caption(image) if image else "",
        attached=_attached(turn.question),
        state=turn.state,
        running=turn.is_running,
        activity=turn.activity,
        percent=_percent(turn),
        elapsed=f"{turn.seconds(now):.1f} s",
        paragraphs=answer_spans(turn, segments),
        experts=tuple(_expert_row(run, now) for run in turn.experts),
        notices=tuple(notice.message for notice in turn.notices),
        error=turn.error,
        source=_source(turn),
    )


def _percent(turn: Turn) -> int | None:
    fraction = next((run.fraction for run in turn.experts if run.is_running), turn.fraction_sent)
    return round(100 * fraction) if turn.is_running and fraction is not None else None


def _attached(question: Question) -> tuple[str, ...]:
    said = told(question.marks)
    return (
        *(row.text for row in mark_rows(question.marks)),
        *([_("The model was told: {words}").format(words=said)] if said else []),
        *(f"{one.role}: {one.name}" for one in question.sequences),
    )


def image_caption(image: QuestionImage) -> str:
    """Volume, plane and place, extent and window of an image, in words."""
    geometry, place = image.geometry, _place(image.geometry)
    plane = _PLANES.get(geometry.plane, geometry.plane)
    parts = (
        _short(image.name),
        joined(" ", (plane, place)) if place else plane,
        MODES[geometry.mode],
        f"{geometry.columns}\u00a0×\u00a0{geometry.rows}\u00a0px",
        f"W\u00a0{geometry.window:.0f} L\u00a0{geometry.level:.0f}",
    )
    return joined(", ", filter(None, parts))


def _short(name: str) -> str:
    """A volume's name as far as there is room for it."""
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _place(geometry: ViewGeometry) -> str:
    """Where a slice that stands across a patient axis cuts it: the side's letter and mm, as ``S 12.5 mm``.

    It is that of the image's middle, in the frame of ``pixel_to_ras``. Empty for an oblique slice.
    """
    if geometry.plane not in _ACROSS:
        return ""
    axis, sides = _ACROSS[geometry.plane]
    by_column, by_row, _across, origin = geometry.pixel_to_ras[4 * axis : 4 * axis + 4]
    place = by_column * (geometry.columns - 1) / 2 + by_row * (geometry.rows - 1) / 2 + origin
    return f"{sides[place < 0]}\u00a0{abs(place):.1f}\u00a0mm"


def images_caption(images: Sequence[QuestionImage]) -> str:
    """One picture as ``image_caption``; several by their number, volumes and planes."""
    if len(images) == 1:
        return image_caption(images[0])
    counts = Counter(image.geometry.plane for image in images)
    planes = [joined(" ", (str(count), _PLANES.get(plane, plane))) for plane, count in counts.items()]
    names = dict.fromkeys(_short(image.name) for image in images)
    return _("{count} pictures of {names}: {planes}").format(
        count=len(images), names=", ".join(filter(None, names)), planes=joined(", ", planes)
    )


def css_colour(rgb: Sequence[int]) -> str:
    """A colour, each channel 0 to 255, as style sheets of a browser and of Qt take it."""
    return f"rgb({rgb[0]}, {rgb[1]}, {rgb[2]})"


def answer_spans(turn: Turn, segments: Sequence[SegmentRow]) -> tuple[AnswerSpan, ...]:
    """The answer so far, split where it names a segment or a colour of the model's overlay."""
    colours = {row.name: css_colour(row.rgb) for row in segments}
    named = [segment.name for segment in turn.segments] + list(colours)  # also those of other questions
    spans = linked(turn.text, list(dict.fromkeys(named)), turn.legend)
    return tuple(
        AnswerSpan(
            text=span.text,
            segment=span.segment if span.segment in colours else "",
            colour=colours.get(span.segment or "", ""),
            stands_for=joined(_(" or "), [span.segment or "", *span.sharing]) if span.names_colour else "",
        )
        for span in spans
    )


def _expert_row(run: ExpertRun, now: float) -> ExpertRow:
    state = "failed" if run.failure else "done" if run.result else "running"
    return ExpertRow(
        name=run.call.expert,
        arguments=run.call.arguments,
        version=run.call.version,
        state=state,
        detail=_expert_detail(run),
        percent=round(100 * run.fraction),
        elapsed=f"{now - run.started:.0f} s",
        expected=_expected(run, now),
        findings=finding_rows(run.result) if run.result else (),
    )


def _expert_detail(run: ExpertRun) -> str:
    if run.failure:
        return run.failure.error.message
    if run.result is None:
        return run.message or _("starts")
    if run.result.findings and not run.result.segments:
        return _strongest(run.result.findings, run.result.seconds)
    missing = [segment.name for segment in run.result.segments if not segment.voxel_count]
    total = len(run.result.segments)
    found = _("{found} of {total} structures found in {seconds:.1f} s").format(
        found=total - len(missing), total=total, seconds=run.result.seconds
    )
    if not 0 < len(missing) <= _NAMED:
        return found
    return joined("; ", (found, _("not found: {names}").format(names=", ".join(missing))))


def _strongest(findings: Sequence[Finding], seconds: float) -> str:
    """The finding with the highest probability, and how many there are."""
    first = max(findings, key=lambda finding: finding.probability)
    words = _("{count} findings rated, highest {name} {probability:.2f} in {seconds:.1f} s")
    return words.format(count=len(findings), name=first.name, probability=first.probability, seconds=seconds)


def _expected(run: ExpertRun, now: float) -> str:
    """The time still needed at the pace so far."""
    if not run.is_running or not _EARLIEST_FORECAST <= run.fraction < 1.0:
        return ""
    rest = (now - run.started) * (1.0 - run.fraction) / run.fraction
    return _("about {seconds:.0f} s more").format(seconds=max(rest, 1.0))


def _source(turn: Turn) -> str:
    """What a finished answer rests on."""
    if turn.answer is None:
        return ""
    experts = [f"{run.call.expert} {run.call.version}" for run in turn.experts if run.result]
    if not experts:
        return _("Written by {model}").format(model=turn.model_name)
    words = _("Written by {model}, with the result of {experts}")
    return words.format(model=turn.model_name, experts=joined(_(" and "), experts))
