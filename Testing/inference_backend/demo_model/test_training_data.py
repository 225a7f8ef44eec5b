"""The made-up conversations teach what the product needs and nothing that contradicts it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest

from inference_backend.conversation.interfaces import Message
from inference_backend.demo_model.training import dialogues, vocabulary
from inference_backend.demo_model.training.dialogues import Dialogue, DialogueMaker, Turn
from inference_backend.demo_model.training.held_out import PICTURED, HeldOut, bare, withheld_questions
from inference_backend.demo_model.training.scenes import DATA, Scene, draw_scene, fits

CALL = re.compile(r"<([^<>()]+)\(([^<>()]*)\)>")
IMAGES = [
    Scene((), "CT", "CT", b"0", "axial", "chest"),
    Scene((), "MRI", "MRI", b"1", "sagittal", "head"),
    Scene((), "CXR", "CXR", b"2", "frontal", "chest"),
]


def conversations(seed: int) -> Iterator[Dialogue]:
    random = np.random.default_rng(seed)
    while True:
        maker = DialogueMaker(draw_scene(random, IMAGES), random)
        yield from (maker.draw() for _ in range(5))


@pytest.fixture(scope="module")
def drawn() -> list[Dialogue]:
    return list(islice(conversations(3), 2500))


def learned_replies(dialogue: Dialogue) -> list[str]:
    return [turn.message.text for turn in dialogue.turns if turn.learned]


def test_a_seed_gives_the_same_conversations_again() -> None:
    first, second = (list(islice(conversations(5), 60)) for _ in range(2))
    assert first == second
    assert first != list(islice(conversations(6), 60))


def test_every_call_that_is_taught_is_of_an_offered_expert_with_a_valid_argument(
    drawn: list[Dialogue],
) -> None:
    calls = [
        (dialogue.scene, *match)
        for dialogue in drawn
        for reply in learned_replies(dialogue)
        for match in CALL.findall(reply)
    ]
    assert len(calls) > 800
    for scene, name, argument in calls:
        card = next(card for card in scene.cards if card.name == name)
        assert argument in card.arguments or (argument == "" and not card.arguments)
        assert fits(card, scene.modality)


def test_a_reply_calls_once_or_not_at_all(drawn: list[Dialogue]) -> None:
    for dialogue in drawn:
        for reply in learned_replies(dialogue):
            assert reply.count("<") == len(CALL.findall(reply)) <= 1


def test_about_half_of_the_first_questions_need_no_expert(drawn: list[Dialogue]) -> None:
    calling = sum("<" in dialogue.turns[1].message.text for dialogue in drawn)
    assert 0.35 < calling / len(drawn) < 0.65


def test_sizes_in_an_answer_stand_in_what_the_model_was_told(drawn: list[Dialogue]) -> None:
    checked = 0
    for dialogue in drawn:
        told = ""
        for turn in dialogue.turns:
            if turn.message.role == "assistant" and turn.learned:
                for number in re.findall(r"(\d+(?:\.\d)?) mL", turn.message.text):
                    assert f": {number} mL" in told
                    checked += 1
            else:
                told += turn.message.text
    assert checked > 100


def test_a_wrong_call_is_shown_but_not_taught(drawn: list[Dialogue]) -> None:
    untaught = [turn for dialogue in drawn for turn in dialogue.turns if is_untaught_reply(turn)]
    assert untaught
    assert all(CALL.search(turn.message.text) for turn in untaught)


def is_untaught_reply(turn: Turn) -> bool:
    return turn.message.role == "assistant" and not turn.learned


def test_images_and_their_places_agree(drawn: list[Dialogue]) -> None:
    for dialogue in drawn:
        for turn in dialogue.turns:
            if turn.message.role == "expert":
                assert turn.message.text.count("<image>") == len(turn.message.images)


def test_no_question_that_the_model_is_measured_on_is_drawn(
    drawn: list[Dialogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [
        turn.message.text for dialogue in drawn for turn in dialogue.turns if turn.message.role == "user"
    ]
    assert not {bare(question) for question in asked} & withheld_questions()
    often = Counter(bare(question) for question in asked).most_common(1)[0][0]
    monkeypatch.setattr(dialogues, "withheld_questions", lambda: frozenset({often}))
    anew = (turn.message.text for dialogue in islice(conversations(3), 2500) for turn in dialogue.turns)
    assert often not in {bare(text) for text in anew}


def test_the_held_out_and_the_development_questions_are_enough_and_share_none() -> None:
    pictures = dict.fromkeys(PICTURED, b"")
    held_out, development = (
        {bare(question(case.turns)) for case in HeldOut(pictures, file).cases()}
        for file in ("held_out.json", "development.json")
    )
    assert len(HeldOut(pictures).cases()) > 250
    assert not held_out & development


def question(turns: tuple[Message, ...]) -> str:
    return turns[-1].text if turns[-1].role == "user" else turns[0].text


def test_unseen_cards_share_no_name_or_argument_with_the_training_vocabulary() -> None:
    unseen = json.loads((DATA / "held_out.json").read_text(encoding="utf-8"))["unseen_cards"]
    known = {*vocabulary.TARGETS, *vocabulary.THINGS}
    for card in unseen:
        assert not known & set(card["arguments"])
