"""The three layouts: as in training, as the published demo serves, and on lines for our demo model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from inference_backend.conversation.interfaces import Message
from inference_backend.conversation.model_cards import PUBLISHED_CARDS, compose_cards
from inference_backend.conversation.prompting import Wording, beginning, compose
from inference_backend.conversation.wording import use_result
from VILAM3SlicerLib.protocol.messages import PromptLayout

CARDS = compose_cards(PUBLISHED_CARDS)
MRI = ("T1c", "T1", "T2", "FLAIR")
FEEDBACK = Message(
    "expert", "The results are <image>. The colors in this image describe red: liver. ", (b"o",)
)


def text_of(question: str, images: int, layout: PromptLayout, **more: object) -> str:
    wording = replace(Wording(CARDS, "CT", layout=layout), **more)
    return compose([Message("user", question, (b"i",) * images)], wording)[0].text


@pytest.mark.parametrize("layout", get_args(PromptLayout))
def test_every_question_about_a_scan_begins_as_what_is_read_ahead(layout: PromptLayout) -> None:
    (ahead,) = beginning(CARDS)
    assert text_of("Is it normal?", 1, layout).startswith(ahead.text.rstrip("\n"))
    assert ahead.text == CARDS


def test_training_text_is_that_of_the_published_loader() -> None:
    assert text_of("Is it normal?", 1, "training") == (
        CARDS.removesuffix("\n") + " <image>\nThis is a CT image.\nIs it normal?"
    )
    assert text_of("Compare them.", 2, "training", cards="") == (
        "<image>\n <image>\nThis is a CT image.\nCompare them."
    )
    assert text_of("No image.", 0, "training") == CARDS + "No image."


def test_training_text_of_four_sequences() -> None:
    text = text_of("Is there a tumor?", 4, "training", cards="", modality="MRI", sequences=MRI)
    assert text == (
        "T1(contrast enhanced): <image>\n, T1: <image>\n, T2: <image>\n, FLAIR: <image>\n"
        "These are different MRI modalities.\nIs there a tumor?"
    )


def test_overlay_of_an_expert_stands_in_its_sentence() -> None:
    (told,) = compose([FEEDBACK], Wording())
    assert told.text == "The results are <image>\n. The colors in this image describe red: liver."
    (as_published,) = compose([FEEDBACK], Wording(layout="published"))
    assert as_published == FEEDBACK


def test_demo_text_is_that_of_the_golden_conversations(golden: Path) -> None:
    index = (golden / "s8_llama3" / "index.json").read_text()
    assert "T1(contrast enhanced): <image>, T1: <image>, T2: <image>, FLAIR: <image> These" in index
    assert text_of("q", 4, "published", cards="", sequences=MRI) == (
        "T1(contrast enhanced): <image>, T1: <image>, T2: <image>, FLAIR: <image> "
        "These are different MRI modalities.\nq"
    )
    assert (golden / "model_cards.txt").read_text() == CARDS
    assert text_of("Is it normal?", 1, "published") == CARDS + "<image>This is a CT image.\nIs it normal?"


def test_demo_repeats_the_cards_with_each_image_and_the_others_do_not() -> None:
    asked = [Message("user", "a", (b"1",)), Message("assistant", "b"), Message("user", "c", (b"2",))]
    layouts: tuple[PromptLayout, ...] = ("training", "published", "lines")
    counts = [
        sum("list of available" in message.text for message in compose(asked, Wording(CARDS, layout=layout)))
        for layout in layouts
    ]
    assert counts == [1, 2, 1]
    text_only = compose([Message("user", "a")], Wording(CARDS, layout="published"))
    assert text_only[0].text == "a"


def test_demo_model_has_each_image_on_a_line() -> None:
    assert text_of("q", 2, "lines") == CARDS + "<image>\n<image>\nThis is a CT image.\nq"
    assert compose([FEEDBACK], Wording(layout="lines")) == [FEEDBACK]


@pytest.mark.parametrize(
    ("layout", "is_classification", "expected"),
    [
        ("training", False, "\nUse this result to respond to this prompt:\nWhy."),
        (
            "training",
            True,
            " Analyze the image and take these predictions into account when responding to this prompt:\nWhy",
        ),
        ("published", True, "\nUse this result to respond to this prompt:\nWhy"),
        ("lines", False, "\nUse this result to respond to this prompt:\nWhy"),
    ],
)
def test_instruction_after_a_result(layout: PromptLayout, is_classification: bool, expected: str) -> None:
    assert use_result("Why", layout, is_classification) == expected
