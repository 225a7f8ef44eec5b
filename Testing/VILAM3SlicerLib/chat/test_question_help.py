"""Examples fit what the backend can do; earlier questions come back without losing what was typed."""

from __future__ import annotations

from VILAM3SlicerLib.chat.examples import example_questions
from VILAM3SlicerLib.chat.recall import Recall
from VILAM3SlicerLib.protocol.messages import ExpertDescription


def expert(name: str, unavailable_because: str = "") -> ExpertDescription:
    return ExpertDescription(name, "", "", "", "1", (), unavailable_because)


def test_examples_ask_only_for_experts_that_can_run():
    experts = [expert("CT_TISSUE"), expert("BRATS", "its weights are missing"), expert("CXR")]
    assert "Segment the lungs." in example_questions("CT", experts)
    assert not [text for text in example_questions("MRI", experts) if "tumor" in text]
    assert [text for text in example_questions("MRI", [expert("BRATS")]) if "tumor" in text]
    assert "Segment the lungs." not in example_questions("CXR", experts)
    assert "Which organs do you see in this slice?" in example_questions("CT", [])
    assert "Describe this chest X-ray." in example_questions("CXR", [])
    assert example_questions("Unknown", []) == ("What kind of image is this?",)


def test_examples_are_few_and_each_another():
    questions = example_questions("CT", [expert("CT_TISSUE"), expert("VISTA3D")])
    assert len(questions) == len(set(questions)) == 4


def test_arrows_walk_through_earlier_questions_and_back_to_what_was_typed():
    recall = Recall(lambda: ["first", "second"])
    shown = recall.older("half a thou")
    assert shown == "second"
    shown = recall.older(shown)
    assert recall.older(shown) == "first"
    assert recall.newer("first") == "second"
    assert recall.newer("second") == "half a thou"
    assert recall.newer("half a thou") == "half a thou"


def test_a_recalled_question_that_was_changed_is_a_new_text():
    recall = Recall(lambda: ["first", "second"])
    changed = recall.older("") + " more"
    assert not recall.is_showing(changed)
    assert recall.older(changed) == "second"
    assert recall.newer("second") == changed


def test_without_earlier_questions_nothing_is_lost():
    recall = Recall(list)
    assert recall.older("typed") == "typed"
    assert recall.newer("typed") == "typed"
