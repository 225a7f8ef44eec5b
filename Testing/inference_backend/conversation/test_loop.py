"""A turn from question to answer, with a model and experts that follow a script."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from inference_backend.conversation.interfaces import Message, ReplyEnd
from inference_backend.conversation.loop import Conversation, Turn
from inference_backend.conversation.model_cards import VISTA3D, compose_cards
from VILAM3SlicerLib.protocol.errors import TooLarge
from VILAM3SlicerLib.protocol.events import (
    Answer,
    ExpertCalled,
    ExpertFailed,
    ExpertProgress,
    ExpertResult,
    Notice,
    Payload,
    Prompt,
    Text,
)
from VILAM3SlicerLib.protocol.messages import (
    IDENTITY,
    BoxRegion,
    MriSequence,
    PointPrompt,
    TurnContext,
    ViewGeometry,
)

CARDS = compose_cards([VISTA3D])
QUESTION = Message("user", "Find the liver.", (b"slice",))
TRIGGER = "This looks like a CT image. Let me trigger <VISTA3D(organs)>."


def run_turn(
    model: Any, experts: Any, images: Any, messages: Sequence[Message] = (QUESTION,), volume: str | None = "v"
) -> list[Payload]:
    async def collect() -> list[Payload]:
        turn = Turn(tuple(messages), TurnContext("t", "s", volume=volume, modality="CT"))
        return [payload async for payload in Conversation(model, experts, images).run(turn)]

    return asyncio.run(collect())


def of_kind(payloads: Sequence[Payload], kind: type) -> list[Any]:
    return [payload for payload in payloads if isinstance(payload, kind)]


@pytest.fixture
def ask(liver_experts: Any, kept_images: Any) -> Callable[..., list[Payload]]:
    def run(model: Any, *messages: Message, **options: Any) -> list[Payload]:
        return run_turn(model, liver_experts, kept_images, messages or (QUESTION,), **options)

    return run


def test_plain_answer_streams_and_ends_the_turn(ask: Any, scripted_model: Any, liver_experts: Any) -> None:
    payloads = ask(scripted_model("It is a CT of the chest."))
    assert "".join(text.delta for text in of_kind(payloads, Text)) == "It is a CT of the chest."
    assert isinstance(payloads[-1], Answer)
    assert payloads[-1].text == "It is a CT of the chest."
    assert liver_experts.calls == []


def test_prompt_has_cards_image_modality_and_question_as_in_training(ask: Any, scripted_model: Any) -> None:
    (prompt,) = of_kind(ask(scripted_model("Yes.")), Prompt)
    assert prompt.text == CARDS.rstrip() + " <image>\nThis is a CT image.\nFind the liver."


def test_triggered_expert_runs_and_its_result_goes_back_to_the_model(
    ask: Any, scripted_model: Any, liver_experts: Any, kept_images: Any
) -> None:
    model = scripted_model(TRIGGER, "The liver is shown in red.")
    payloads = ask(model)
    kinds = [type(payload) for payload in payloads if not isinstance(payload, Text)]
    assert kinds == [Prompt, ExpertCalled, ExpertProgress, ExpertResult, Prompt, Answer]
    assert [(call.expert, call.arguments, call.volume) for call in liver_experts.calls] == [
        ("VISTA3D", "organs", "v")
    ]
    feedback = model.seen[1][-1]
    assert feedback.role == "expert"
    assert feedback.text == (
        "The results are <image>\n. The colors in this image describe red: liver. "
        "\nUse this result to respond to this prompt:\nFind the liver.."
    )
    assert feedback.images == (b"overlay",)
    (result,) = of_kind(payloads, ExpertResult)
    assert kept_images[result.feedback_image] == b"overlay"
    assert result.feedback_text == feedback.text.replace("<image>\n", "<image>")


def test_every_prompt_names_the_images_as_sent_and_as_seen(
    ask: Any, scripted_model: Any, kept_images: Any
) -> None:
    prompts = of_kind(ask(scripted_model(TRIGGER, "Done.")), Prompt)
    pairs = [(kept_images[image.sent], kept_images[image.seen]) for image in prompts[1].images]
    assert pairs == [(b"slice", b"seen slice"), (b"overlay", b"seen overlay")]


def test_reply_that_says_segmented_already_is_the_answer(ask: Any, scripted_model: Any) -> None:
    payloads = ask(scripted_model("I segmented the organs using <VISTA3D(organs)>."))
    assert len(of_kind(payloads, ExpertResult)) == 1
    assert "Use this result" not in of_kind(payloads, ExpertResult)[0].feedback_text
    assert payloads[-1].text == "I segmented the organs using <VISTA3D(organs)>."


def test_failed_expert_is_told_to_the_model_which_answers(
    scripted_model: Any, failing_experts: Any, kept_images: Any
) -> None:
    model = scripted_model("Segmented soon: <VISTA3D(organs)>", "The expert failed.")
    payloads = run_turn(model, failing_experts, kept_images)
    (failed,) = of_kind(payloads, ExpertFailed)
    assert failed.error.message == "The volume has two slices."
    assert model.seen[1][-1].text.startswith("Sorry I met an error: The volume has two slices.")
    assert payloads[-1].text == "The expert failed."


def test_expert_that_is_not_offered_gets_one_feedback_turn(
    ask: Any, scripted_model: Any, liver_experts: Any
) -> None:
    model = scripted_model("Let me trigger <BRATS()>.", "Then <CXR()>.")
    payloads = ask(model)
    (failed,) = of_kind(payloads, ExpertFailed)
    assert failed.error.code == "expert_not_offered"
    assert "The expert BRATS is not available. Available experts: VISTA3D." in model.seen[1][-1].text
    assert payloads[-1].text == "Then <CXR()>."
    assert liver_experts.calls == []


def test_same_call_is_not_run_twice_in_a_turn(ask: Any, scripted_model: Any, liver_experts: Any) -> None:
    payloads = ask(scripted_model(TRIGGER, "Again <vista3d(Organs)>."))
    assert len(liver_experts.calls) == 1
    assert payloads[-1].text == "Again <vista3d(Organs)>."


def test_calls_of_experts_are_bounded(ask: Any, scripted_model: Any, liver_experts: Any) -> None:
    replies = [f"<VISTA3D({name})>" for name in ("a", "b", "c", "d")]
    payloads = ask(scripted_model(*replies))
    assert [call.arguments for call in liver_experts.calls] == ["a", "b", "c"]
    assert payloads[-1].text == "<VISTA3D(d)>"


def test_oldest_turns_give_way_and_the_person_is_told(ask: Any, scripted_model: Any) -> None:
    history = [Message("user", "old " * 700), Message("assistant", "old answer")]
    model = scripted_model("Yes.", context_length=800)
    payloads = ask(model, *history, QUESTION)
    assert [notice.code for notice in of_kind(payloads, Notice)] == ["history_shortened"]
    (prompt,) = of_kind(payloads, Prompt)
    assert prompt.text.startswith(CARDS)
    assert prompt.text.endswith("Find the liver.")
    assert "…" in prompt.text
    assert prompt.text.count("old") < 90


def test_conversation_that_fits_is_kept_whole_with_the_cards_in_front(ask: Any, scripted_model: Any) -> None:
    history = [Message("user", "first", (b"a",)), Message("assistant", "second")]
    (prompt,) = of_kind(ask(scripted_model("Yes."), *history, Message("user", "third")), Prompt)
    assert prompt.text == CARDS.rstrip() + " <image>\nThis is a CT image.\nfirst\nsecond\nthird"


def test_newest_question_is_never_cut(ask: Any, scripted_model: Any) -> None:
    with pytest.raises(TooLarge, match="tokens"):
        ask(scripted_model("Yes.", context_length=100), Message("user", "word " * 500, (b"slice",)))


def test_experts_are_offered_only_with_a_volume(ask: Any, scripted_model: Any) -> None:
    (prompt,) = of_kind(ask(scripted_model("Yes."), volume=None), Prompt)
    assert prompt.text == "<image>\nThis is a CT image.\nFind the liver."


@pytest.mark.parametrize(
    ("text", "images", "placeholders"), [("a <image> b", 0, 0), ("x", 2, 2), ("<image> or <image>", 1, 1)]
)
def test_placeholders_match_the_images_whatever_the_person_typed(
    ask: Any, scripted_model: Any, text: str, images: int, placeholders: int
) -> None:
    (prompt,) = of_kind(ask(scripted_model("Yes."), Message("user", text, (b"i",) * images)), Prompt)
    assert prompt.text.count("<image>") == placeholders


def test_points_and_box_of_the_question_reach_the_expert(
    scripted_model: Any, liver_experts: Any, kept_images: Any
) -> None:
    points = (PointPrompt((1.0, 2.0, 3.0)), PointPrompt((4.0, 5.0, 6.0), is_positive=False))
    context = TurnContext("t", "s", "volume", "CT", points=points, box=BoxRegion(IDENTITY))
    turn = Turn((QUESTION,), context)
    model = scripted_model("<VISTA3D(liver)>", "Here.")

    async def run() -> None:
        async for _ in Conversation(model, liver_experts, kept_images).run(turn):
            pass

    asyncio.run(run())
    (call,) = liver_experts.calls
    assert (call.points, call.box) == (points, BoxRegion(IDENTITY))


def test_images_of_four_sequences_are_named_in_their_order(
    scripted_model: Any, liver_experts: Any, kept_images: Any
) -> None:
    names = ("t1c post", "t1 native", "T2 tse", "flair")
    sequences = tuple(MriSequence(f"volume {name}", name) for name in names)
    views = tuple(
        ViewGeometry("published", "axial", 8, 8, IDENTITY, 1.0, 0.0, sequence.volume)
        for sequence in sequences
    )
    context = TurnContext("t", "s", modality="MRI", views=views, sequences=sequences)
    turn = Turn((Message("user", "Is there a tumor?", (b"a", b"b", b"c", b"d")),), context)

    async def first_prompt() -> str:
        conversation = Conversation(scripted_model("Yes."), liver_experts, kept_images)
        (prompt,) = [payload async for payload in conversation.run(turn) if isinstance(payload, Prompt)]
        return prompt.text

    assert asyncio.run(first_prompt()) == (
        "T1(contrast enhanced): <image>\n, T1: <image>\n, T2: <image>\n, FLAIR: <image>\n"
        "These are different MRI modalities.\nIs there a tumor?"
    )


@pytest.mark.parametrize(("reason", "code"), [("repetition", "reply_repeats"), ("length", "reply_cut")])
def test_a_reply_that_did_not_end_by_itself_says_so_and_usage_is_of_all_replies(
    ask: Any, scripted_model: Any, reason: Any, code: str
) -> None:
    class Endless(scripted_model):  # type: ignore[misc]
        async def reply(self, messages: Any, sampling: Any) -> Any:
            async for piece in super().reply(messages, sampling):
                is_end = isinstance(piece, ReplyEnd) and len(self.seen) == 2
                yield replace(piece, finish_reason=reason) if is_end else piece

    payloads = ask(Endless(TRIGGER, "no no no"))
    assert [notice.code for notice in of_kind(payloads, Notice)] == [code]
    answer = payloads[-1]
    assert (answer.text, answer.finish_reason) == ("no no no", "length")
    assert answer.prompt_tokens == 2 * 10
    assert answer.completion_tokens == len(TRIGGER.split(" ")) + 3
