"""What models write when they call an expert, and what only looks like it."""

from __future__ import annotations

import pytest

from inference_backend.conversation.trigger import find_trigger

OFFERED = ["CT_TISSUE", "VISTA3D", "CXR"]


@pytest.mark.parametrize(
    ("reply", "expert", "arguments"),
    [
        ("This looks like a CT image. Let me trigger <VISTA3D(hepatic tumor)>. ", "VISTA3D", "hepatic tumor"),
        ("This looks like an chest x-ray. Let me first trigger <CXR()>.", "CXR", ""),
        ("I outlined all structures using <VISTA3D(everything)>.", "VISTA3D", "everything"),
        ("<CXR>", "CXR", ""),
        ("Let me trigger < vista3d( 'Organs' ) >", "VISTA3D", "Organs"),
        ("Let me trigger <VISTA3D(lung tumor>", "VISTA3D", "lung tumor"),
        ("Let me trigger <CT_TISSUE(lungs)", "CT_TISSUE", "lungs"),
        ("Let me trigger <CT TISSUE(lungs)> or <CT-Tissue(left lung)>", "CT_TISSUE", "left lung"),
        ("In the <image> of <5 mm> see <VISTA3D(skeleton)>", "VISTA3D", "skeleton"),
    ],
)
def test_a_call_is_understood_however_it_is_written(reply: str, expert: str, arguments: str) -> None:
    trigger = find_trigger(reply, OFFERED)
    assert trigger is not None
    assert (trigger.expert, trigger.arguments, trigger.is_offered) == (expert, arguments, True)


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "The liver is large.",
        "A nodule <5 mm> in the <image>.",
        "if a < b and c > d",
        "VISTA3D(everything) without brackets",
        "<VISTA3D and no more",
        "<<<>>>",
    ],
)
def test_text_without_a_call_triggers_nothing(reply: str) -> None:
    assert find_trigger(reply, OFFERED) is None


def test_a_call_of_an_unknown_expert_is_told_apart() -> None:
    trigger = find_trigger("Let me trigger <BRATS(None)>.", OFFERED)
    assert trigger is not None
    assert (trigger.expert, trigger.is_offered) == ("BRATS", False)


def test_an_offered_expert_goes_before_one_that_is_not() -> None:
    trigger = find_trigger("<BRATS()> or rather <VISTA3D(organs)>", OFFERED)
    assert trigger is not None
    assert trigger.expert == "VISTA3D"
