"""Names of segments and colours in an answer, found so that a view can make links of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from VILAM3SlicerLib.protocol.events import LegendEntry


@dataclass(frozen=True)
class Span:
    """A piece of an answer; ``segment`` is the segment it names, None for plain text.

    ``names_colour`` is true where the text has the colour of the model's overlay instead of the name;
    ``sharing`` are further segments in that colour (the overlay has fifteen, used again and again).
    """

    text: str
    segment: str | None = None
    names_colour: bool = False
    sharing: tuple[str, ...] = ()


def linked(text: str, segments: Sequence[str], legend: Iterable[LegendEntry] = ()) -> list[Span]:
    """Split an answer into spans; joined again they are the answer.

    The longest name wins where several fit; a name is found in any case and in the plural. A plain word
    that all of several segments end with, such as "lungs" for the left and the right lung, leads to the
    first of them.
    """
    targets = _targets(segments, legend)
    if not targets:
        return [Span(text)] if text else []
    words = sorted(targets, key=len, reverse=True)
    pattern = re.compile(
        r"\b(" + "|".join(re.escape(word) for word in words) + r")(?:s|es)?\b", re.IGNORECASE
    )
    spans: list[Span] = []
    end = 0
    for match in pattern.finditer(text):
        if match.start() > end:
            spans.append(Span(text[end : match.start()]))
        spans.append(replace(targets[match.group(1).lower()], text=match.group()))
        end = match.end()
    return [*spans, Span(text[end:])] if end < len(text) else spans


def _targets(segments: Sequence[str], legend: Iterable[LegendEntry]) -> dict[str, Span]:
    """Lower-case words and where they lead; names win over shared endings, these over colours."""
    coloured: dict[str, list[str]] = {}
    for entry in legend:
        coloured.setdefault(entry.colour.lower(), []).append(entry.segment)
    endings: dict[str, list[str]] = {}
    for segment in segments:
        head, _, last = segment.lower().rpartition(" ")
        if head in ("left", "right"):
            endings.setdefault(last, []).append(segment)
    return {
        **{colour: Span("", first, True, tuple(rest)) for colour, (first, *rest) in coloured.items()},
        **{ending: Span("", found[0]) for ending, found in endings.items()},
        **{segment.lower(): Span("", segment) for segment in segments},
    }
