"""The words that call an expert never stand in the transcript, not even while they are written."""

from __future__ import annotations

from itertools import pairwise

import pytest

from VILAM3SlicerLib.chat.spoken import is_call, spoken
from VILAM3SlicerLib.protocol.events import ExpertCalled, Text

CALL = "This looks like a CT image. Let me trigger <CT_TISSUE(lungs)>."


@pytest.mark.parametrize(
    "text",
    [
        CALL,
        "Let me first trigger <BRATS()>.",
        "<VISTA3D(liver)>",
        "  < vista3d('liver') >",
        "<CT_TISSUE(lungs)",
    ],
)
def test_nothing_of_a_call_is_seen_at_any_moment(text):
    assert {spoken(text[:length]) for length in range(len(text) + 1)} == {""}


def test_words_before_a_call_stay():
    text = f"The liver is large. {CALL}"
    seen = [spoken(text[:length]) for length in range(len(text) + 1)]
    assert seen[-1] == "The liver is large."
    assert all(later.startswith(earlier) for earlier, later in pairwise(seen))


@pytest.mark.parametrize(
    "text",
    [
        "The nodule is < 5 mm. It is round.",
        "This looks like a CT image. It shows the lungs",
        "Leave it. Lesions are small",
        "As <image> shows, all is well",
    ],
)
def test_what_is_no_call_is_seen(text):
    assert spoken(text) == text
    assert not is_call(text)


def test_no_word_is_taken_back_while_an_answer_is_written():
    text = "This looks like a CT image. It shows a nodule of < 5 mm. Let it be followed. Left is well."
    seen = [spoken(text[:length]) for length in range(len(text) + 1)]
    assert seen[-1] == text
    assert all(later.startswith(earlier.rstrip()) for earlier, later in pairwise(seen))


def test_the_person_reads_that_an_expert_is_called_and_the_exact_words_are_kept(talk):
    talk.ask()
    for start in range(0, len(CALL), 5):
        talk.say(Text(0, CALL[start : start + 5]))
        assert talk.turn.text == ""
    assert talk.turn.activity == "Calling an expert"
    talk.say(ExpertCalled("c1", 0, "CT_TISSUE", "lungs", "1.0", "<CT_TISSUE(lungs)>", CALL))
    assert talk.turn.activity == "CT_TISSUE starts"
    assert talk.turn.replies[0].text == CALL
