"""Cards of published experts equal the text that the released checkpoints were trained with."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

from inference_backend.conversation.model_cards import PUBLISHED_CARDS, ModelCard, compose_cards


def test_all_published_cards_equal_the_published_text_in_any_order_of_registration(golden: Path) -> None:
    published = (golden / "model_cards.txt").read_text()
    assert {compose_cards(order) for order in permutations(PUBLISHED_CARDS)} == {published}


def test_lines_of_unavailable_experts_are_left_out(golden: Path) -> None:
    lines = (golden / "model_cards.txt").read_text().splitlines(keepends=True)
    assert compose_cards([PUBLISHED_CARDS[3], PUBLISHED_CARDS[1]]) == "".join(
        [lines[0], *lines[2:5:2], lines[5]]
    )


def test_own_experts_follow_the_published_ones() -> None:
    own = ModelCard("MINE", "CT", "segmentation", "mine", "good", ("a", "b"))
    lines = compose_cards([own, PUBLISHED_CARDS[0]]).splitlines()
    assert lines[1].startswith("<BRATS(args)>")
    assert lines[2].startswith("<MINE(args)>")
    assert lines[2].endswith("Valid args are: 'a' or 'b'")


def test_without_experts_the_model_is_offered_none() -> None:
    assert compose_cards([]) == ""
