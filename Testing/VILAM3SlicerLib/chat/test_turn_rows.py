"""Rows of a conversation that grows, at hand many times a second."""

from __future__ import annotations

from dataclasses import replace

import pytest

from VILAM3SlicerLib.chat import turn_rows
from VILAM3SlicerLib.chat.rows import SegmentRow, turn_row
from VILAM3SlicerLib.chat.turn_rows import TurnRows
from VILAM3SlicerLib.protocol.events import Answer, Text

LUNG = SegmentRow("id1", "left lung", (10, 20, 30), 2104.46, True, "CT_TISSUE 1.0")


@pytest.fixture
def turns(talk):
    """One that has ended and one that runs."""
    talk.ask("Where is the lung?")
    talk.say(Answer(0, "The left lung is there.", "stop", 10, 3, "demo", 1.0))
    talk.ask("And now?")
    talk.say(Text(0, "I see"))
    return talk.presenter.turns


def test_only_what_may_have_changed_is_made_again(turns, monkeypatch):
    made = []
    monkeypatch.setattr(
        turn_rows, "turn_row", lambda turn, *rest: made.append(turn.question.text) or turn_row(turn, *rest)
    )
    rows = TurnRows()
    for now in (1.0, 2.0):
        assert rows.of(turns, [LUNG], now) == [turn_row(turn, [LUNG], now) for turn in turns]
    assert made == ["Where is the lung?", "And now?", "And now?"]
    ended = (turns[0], replace(turns[1], state="stopped", activity="Stopped."))
    assert rows.of(ended, [LUNG], 3.0)[1].activity == "Stopped."


def test_links_follow_the_segments_on_the_screen(turns):
    rows = TurnRows()
    assert [span.segment for span in rows.of(turns, [LUNG], 1.0)[0].paragraphs] == ["", "left lung", ""]
    assert [span.segment for span in rows.of(turns, [], 1.0)[0].paragraphs] == [""]
    red = replace(LUNG, rgb=(255, 0, 0))
    assert rows.of(turns, [red], 1.0)[0].paragraphs[1].colour == "rgb(255, 0, 0)"


def test_a_turn_that_was_undone_and_restored_otherwise_is_made_anew(turns):
    rows = TurnRows()
    rows.of(turns, [], 1.0)
    other = replace(turns[0], answer=replace(turns[0].answer, text="Nowhere."))
    assert rows.of([other], [], 1.0)[0].paragraphs[0].text == "Nowhere."
