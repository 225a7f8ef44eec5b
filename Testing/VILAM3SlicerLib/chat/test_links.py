"""Names and colours in answers lead to segments."""

from __future__ import annotations

import pytest

from VILAM3SlicerLib.chat.links import Span, linked
from VILAM3SlicerLib.protocol.events import LegendEntry

SEGMENTS = ["left lung", "right lung", "trachea and airways", "bone"]
LEGEND = [LegendEntry("red", (1, 0, 0), "left lung"), LegendEntry("blue", (0, 0, 1), "right lung")]


def links(text: str) -> list[tuple[str, str | None]]:
    return [(span.text, span.segment) for span in linked(text, SEGMENTS, LEGEND) if span.segment]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The left lung is smaller.", [("left lung", "left lung")]),
        ("Left Lung and right lungs.", [("Left Lung", "left lung"), ("right lungs", "right lung")]),
        ("Both lungs are clear.", [("lungs", "left lung")]),
        (
            "The bones and trachea and airways.",
            [("bones", "bone"), ("trachea and airways", "trachea and airways")],
        ),
        ("The red area is the left lung.", [("red", "left lung"), ("left lung", "left lung")]),
        ("A reduced carbone plunged.", []),
        ("", []),
    ],
)
def test_names_colours_and_plurals_are_found_as_whole_words(text, expected):
    assert links(text) == expected


@pytest.mark.parametrize("text", ["The left lung (red).", "no link", "bone", "é left lung\nbone "])
def test_spans_joined_are_the_text(text):
    assert "".join(span.text for span in linked(text, SEGMENTS, LEGEND)) == text


def test_a_colour_says_that_it_is_one():
    assert linked("red", SEGMENTS, LEGEND) == [Span("red", "left lung", names_colour=True)]


def test_a_colour_that_stands_for_several_segments_names_them_all():
    again = [*LEGEND, LegendEntry("red", (1, 0, 0), "bone")]
    assert linked("red", SEGMENTS, again) == [Span("red", "left lung", True, sharing=("bone",))]


def test_without_segments_there_are_no_links():
    assert linked("The left lung.", []) == [Span("The left lung.")]
