"""What the person placed in the views for a question: points and a box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from VILAM3SlicerLib.protocol.messages import BoxRegion, Matrix, PointPrompt
from VILAM3SlicerLib.protocol.phrases import phrases

_ = phrases(__name__)

MarkKind = Literal["add", "remove", "box"]
"""A point on what is meant, a point beside it, a box around it."""


@dataclass(frozen=True)
class Marks:
    """Points and a box in the frame of the volume that was asked about.

    ``structures`` are the segments, known before the question, in which the points on what is meant lie.
    """

    points: tuple[PointPrompt, ...] = ()
    box: BoxRegion | None = None
    structures: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.points) or self.box is not None


NO_MARKS = Marks()


@dataclass(frozen=True)
class MarkRow:
    """A mark as a person reads it; ``index`` is that of its point."""

    kind: MarkKind
    index: int
    text: str


def mark_rows(marks: Marks) -> list[MarkRow]:
    """The marks in words, the points first."""
    rows = [
        MarkRow("add" if point.is_positive else "remove", index, _point_text(point))
        for index, point in enumerate(marks.points)
    ]
    return rows if marks.box is None else [*rows, MarkRow("box", 0, _box_text(marks.box.box_to_ras))]


def told(marks: Marks) -> str:
    """The sentence that tells the model of the points, empty where it has no words for them.

    Coordinates would mean nothing to it: the published checkpoints never saw any. The name of a structure
    does; a box needs no words, since the picture shows what is in it.
    """
    if not marks.structures:
        return ""
    return f"The question is about a place in the {_listed(marks.structures)}."


def _point_text(point: PointPrompt) -> str:
    words = _("Include {place}") if point.is_positive else _("Exclude {place}")
    return words.format(place=_place(point.ras))


def _box_text(box_to_ras: Matrix) -> str:
    columns = [[box_to_ras[4 * row + column] for row in range(3)] for column in range(4)]
    edges = [sum(number**2 for number in column) ** 0.5 for column in columns[:3]]
    size = " × ".join(f"{edge:.0f}" for edge in edges)
    return _("Box {size} mm at {place}").format(size=size, place=_place(columns[3]))


def _place(ras: Sequence[float]) -> str:
    """In millimetres with the side's letter, as ``L 12, A 30, S 5``."""
    sides = zip(ras, ("RL", "AP", "SI"), strict=True)
    return ", ".join(f"{letters[number < 0]} {abs(number):.0f}" for number, letters in sides)


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
