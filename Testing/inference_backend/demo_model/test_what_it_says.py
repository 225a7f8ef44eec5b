"""The built demo model on some of the held-out questions, and its card."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inference_backend.conversation.interfaces import Message
from inference_backend.conversation.model_cards import compose_cards
from inference_backend.conversation.prompting import Wording, compose
from inference_backend.demo_model import layout
from inference_backend.demo_model.training.evaluate import by_modality, judge, png
from inference_backend.demo_model.training.held_out import HeldOut
from inference_backend.demo_model.training.model_card import BARS, percent, render_model_card
from inference_backend.demo_model.training.slices import LabelledImage
from inference_backend.experts.ct_tissue import create
from inference_backend.vila_m3.engine import VilaM3Engine


@pytest.fixture(scope="module")
def engine(checkpoint: Path) -> VilaM3Engine:
    return VilaM3Engine(checkpoint)


@pytest.fixture(scope="module")
def metrics() -> dict[str, dict[str, dict[str, float]]]:
    loaded: dict[str, dict[str, dict[str, float]]] = json.loads(
        (layout.RESOURCES / layout.METRICS_FILE).read_text(encoding="utf-8")
    )
    return loaded


def test_a_sample_of_the_held_out_questions_is_answered_as_well_as_the_card_says(
    engine: VilaM3Engine, pictures: list[LabelledImage], metrics: dict[str, dict[str, dict[str, float]]]
) -> None:
    cases = [case for case in HeldOut(by_modality(pictures)).cases() if len(case.cards) == 1]
    registered = [case for case in cases if case.group == "registered" and case.cards[0].name == "CT_TISSUE"]
    plain = [case for case in cases if case.group == "no expert"]
    outcomes = judge(engine, registered[::4][:12] + plain[::4][:12], print)
    share = min(metrics["language"][group]["share"] for group in ("registered", "no expert"))
    assert sum(outcome.is_right for outcome in outcomes) >= 24 * share - 3


@pytest.mark.parametrize(
    ("question", "call"),
    [
        ("Segment the lungs.", "<CT_TISSUE(lungs)>"),
        ("Segment everything.", "<CT_TISSUE(everything)>"),
        ("How large is the left lung?", "<CT_TISSUE(left lung)>"),
    ],
)
def test_the_questions_of_the_readme_call_the_expert(
    engine: VilaM3Engine, pictures: list[LabelledImage], question: str, call: str
) -> None:
    asked = compose(
        [Message("user", question, (png(pictures[0].pixels),))],
        Wording(compose_cards([create().card]), "CT", layout=engine.description.prompt_layout),
    )
    assert call in "".join(engine.reply(asked))


def test_the_card_tells_which_bars_are_reached(metrics: dict[str, dict[str, dict[str, float]]]) -> None:
    card = (layout.RESOURCES / layout.MODEL_CARD_FILE).read_text(encoding="utf-8")
    missed = [group for group, bar in BARS.items() if metrics["language"][group]["share"] < bar]
    assert card.count(", not reached") == len(missed)


def test_the_card_says_what_was_measured(metrics: dict[str, dict[str, dict[str, float]]]) -> None:
    card = (layout.RESOURCES / layout.MODEL_CARD_FILE).read_text(encoding="utf-8")
    assert card == render_model_card(metrics)
    for group in BARS:
        assert percent(metrics["language"][group]["share"]) in card
