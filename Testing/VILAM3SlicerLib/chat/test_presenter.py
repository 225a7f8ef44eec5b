"""What the person sees and may do while a question goes its way."""

from __future__ import annotations

import base64

import pytest

from VILAM3SlicerLib.chat.decision import Choice, Decision
from VILAM3SlicerLib.protocol.content_hash import content_hash
from VILAM3SlicerLib.protocol.errors import (
    ConnectionLost,
    ErrorBody,
    InvalidRequest,
    SceneError,
    TooLarge,
    VilaM3Error,
    error_from_json,
)
from VILAM3SlicerLib.protocol.events import (
    Answer,
    ExpertCalled,
    ExpertProgress,
    ExpertResult,
    Failed,
    Notice,
    Prompt,
    Queued,
    SeenImage,
    SegmentInfo,
    Stopped,
    Text,
)

TRIGGER = "<CT_TISSUE(lungs)>"
CALL = ExpertCalled("c1", 0, "CT_TISSUE", "lungs", "1.0", TRIGGER, TRIGGER)
LUNG = SegmentInfo("left lung", (1,), "Lung", 10, 2104.0, (1.0, 2.0, 3.0))
RESULT = ExpertResult(
    "c1", "CT_TISSUE", "1.0", "lungs", 2.0, "The results are <image>. ", "ff" * 32, "r1", (LUNG,)
)


def answer(text: str, step: int = 0) -> Answer:
    return Answer(step, text, "stop", 10, 3, "demo", 1.0)


def finish_plain(talk, question: str, text: str) -> None:
    talk.ask(question)
    talk.say(Text(0, text), answer(text))


def test_states_follow_the_events_of_a_turn_with_an_expert(talk):
    talk.ask()
    assert talk.turn.state == "sending"
    talk.say(Queued(2))
    assert (talk.turn.state, talk.turn.activity) == ("queued", "Waiting: 2 before this one")
    talk.say(Prompt(0, "USER: ...", 40, (SeenImage("aa", "bb"),)), Text(0, "<CT_"))
    assert (talk.turn.state, talk.turn.text) == ("thinking", "")
    talk.say(Text(0, "TISSUE(lungs)>"), CALL, ExpertProgress("c1", 0.4, "Growing"))
    assert (talk.turn.state, talk.turn.experts[0].fraction) == ("expert", 0.4)
    talk.say(RESULT, Prompt(1, "more", 60, ()), Text(1, "The left "), Text(1, "lung"))
    assert talk.turn.text == "The left lung"
    talk.say(answer("The left lung measures 2104 mL.", 1))
    assert (talk.turn.state, talk.turn.text) == ("done", "The left lung measures 2104 mL.")
    assert talk.scene.shown == [(talk.turn.turn_id, RESULT)]


def test_that_the_model_is_being_loaded_is_told_until_it_answers(talk):
    talk.ask()
    talk.say(Queued(0), Notice("model_loading", "The model is being loaded; the answer follows."))
    assert talk.turn.activity == "The model is being loaded; the answer follows."
    talk.say(Notice("shortened", "The oldest turn was left out."), Text(0, "Yes."), answer("Yes."))
    assert talk.turn.activity == ""
    assert [notice.code for notice in talk.turn.notices] == ["shortened"]


def test_only_what_makes_sense_is_allowed(talk):
    before = talk.presenter.allowed
    assert (before.ask, before.stop, before.undo) == (True, False, False)
    talk.ask()
    during = talk.presenter.allowed
    assert (during.ask, during.stop, during.undo) == (False, True, False)
    with pytest.raises(InvalidRequest, match="still being answered"):
        talk.presenter.ask("Another?", "CT", "as_seen")
    talk.say(answer("Yes."))
    after = talk.presenter.allowed
    assert (after.ask, after.stop, after.undo) == (True, False, True)


def test_the_volume_goes_first_and_names_the_question_and_its_view(talk):
    talk.ask()
    context = talk.transport.requests[0]["vilam3"]
    assert talk.transport.volumes[0].sha256 == context["volume"] == context["views"][0]["volume"]


def test_history_is_sent_whole_with_the_experts_words_as_they_were(talk):
    talk.transport.images = {"ff" * 32: b"overlay"}
    talk.ask()
    talk.say(Text(0, TRIGGER), CALL, RESULT, Text(1, "2104 mL."), answer("2104 mL.", 1))
    talk.ask("Which is larger?")
    messages = talk.transport.requests[1]["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "assistant", "user"]
    assert messages[1]["content"] == TRIGGER
    assert messages[2]["name"] == "CT_TISSUE"
    assert messages[2]["content"] == [
        {"type": "text", "text": "The results are <image>. "},
        {"type": "image_url", "image_url": {"url": "sha256:" + "ff" * 32}},
    ]
    assert messages[3]["content"] == "2104 mL."


def test_an_image_is_sent_whole_once_and_by_its_name_then(talk):
    finish_plain(talk, "One?", "Yes.")
    talk.ask("Two?")
    first, second = (request["messages"][0]["content"][0] for request in talk.transport.requests)
    png = base64.b64decode(first["image_url"]["url"].removeprefix("data:image/png;base64,"))
    assert second["image_url"]["url"] == f"sha256:{content_hash(png)}"


def test_a_restarted_backend_gets_the_images_again(talk):
    finish_plain(talk, "One?", "Yes.")
    talk.ask("Two?")
    refusal = ErrorBody("image_unknown", "The image is not known here.").to_json()
    talk.transport.streams[-1].on_error(error_from_json(refusal))
    again = talk.transport.requests[-1]
    assert len(talk.transport.requests) == 3
    assert again["messages"][0]["content"][0]["image_url"]["url"].startswith("data:")
    talk.say(answer("Yes."))
    assert talk.turn.state == "done"


def test_a_cut_connection_is_read_again_from_where_it_broke(talk):
    talk.ask()
    talk.say(Queued(0), Text(0, "The left "))
    talk.transport.streams[-1].on_error(ConnectionLost("cut"))
    assert talk.transport.streams[-1].after == 2
    talk.say(Text(0, "lung."), answer("The left lung."))
    assert talk.turn.replies[0].text == "The left lung."


def test_events_read_twice_count_once(talk):
    talk.ask()
    talk.say(Text(0, "one "))
    talk.sequence = 0
    talk.say(Text(0, "one "), Text(0, "two"))
    assert talk.turn.replies[0].text == "one two"


def test_a_dead_backend_fails_the_turn_with_its_text_and_the_conversation_kept(talk):
    finish_plain(talk, "One?", "Yes.")
    talk.ask("Two?")
    talk.say(Text(0, "The left "))
    for _ in range(5):
        talk.transport.streams[-1].on_error(ConnectionLost("The connection was lost.", "Start it again."))
    assert [turn.state for turn in talk.presenter.turns] == ["done", "failed"]
    assert talk.turn.text == "The left "
    assert talk.turn.error == ErrorBody("connection_lost", "The connection was lost.", "Start it again.")
    assert talk.presenter.allowed.ask
    assert sum(talk.host.delays) < 30


def test_failed_and_stopped_turns_are_not_told_to_the_model(talk):
    talk.ask("One?")
    talk.say(Text(0, "half"), Failed(ErrorBody("model_failed", "It died.")))
    talk.ask("Two?")
    talk.say(Text(0, "half"), Stopped("by the person"))
    talk.ask("Three?")
    assert len(talk.transport.requests[-1]["messages"]) == 1


def test_stop_asks_the_backend_and_keeps_what_was_said(talk):
    turn_id = talk.ask()
    talk.say(Text(0, "The left "))
    talk.presenter.stop()
    assert talk.transport.cancelled == [turn_id]
    talk.say(Stopped("Stopped by the person."))
    assert (talk.turn.state, talk.turn.text) == ("stopped", "The left ")


def test_stop_before_the_question_was_sent_sends_nothing(talk):
    talk.host.is_slow = True
    talk.ask()
    talk.presenter.stop()
    talk.host.waiting.pop()()
    assert (talk.turn.state, talk.transport.requests, talk.transport.volumes) == ("stopped", [], [])


def test_stop_before_the_backend_knew_the_turn_is_asked_for_again(talk):
    turn_id = talk.ask()
    talk.presenter.stop()
    talk.say(Queued(0))
    assert talk.transport.cancelled == [turn_id, turn_id]


def test_undo_takes_back_the_turn_and_its_segments_only(talk):
    talk.ask("One?")
    talk.say(CALL, RESULT, answer("Yes.", 1))
    first = talk.turn.turn_id
    talk.ask("Two?")
    talk.say(CALL, RESULT, answer("Yes.", 1))
    undone = talk.presenter.undo()
    assert undone is not None
    assert undone.question.text == "Two?"
    assert [turn_id for turn_id, _ in talk.scene.shown] == [first]
    assert [turn.turn_id for turn in talk.presenter.turns] == [first]


def test_a_result_that_does_not_fit_the_scan_is_told_and_the_answer_goes_on(talk):
    talk.scene.error = SceneError("The result lies on another grid.")
    talk.ask()
    talk.say(CALL, RESULT, Text(1, "Fine."), answer("Fine.", 1))
    assert talk.turn.state == "done"
    assert "another grid" in talk.turn.notices[0].message
    assert talk.presenter.is_settled


def test_a_volume_that_is_refused_fails_the_turn(talk):
    talk.transport.volume_error = TooLarge("The volume is too large.", "Crop it.")
    talk.ask()
    assert (talk.turn.state, talk.turn.error.code) == ("failed", "too_large")


@pytest.mark.parametrize(
    ("text", "code"), [("", "invalid_request"), (" \n", "invalid_request"), ("x" * 50_000, "too_large")]
)
def test_questions_that_cannot_be_asked_leave_the_conversation_as_it_is(talk, text, code):
    finish_plain(talk, "One?", "Yes.")
    with pytest.raises(VilaM3Error) as caught:
        talk.presenter.ask(text, "CT", "as_seen")
    assert caught.value.code == code
    assert caught.value.hint
    assert len(talk.presenter.turns) == 1


def test_starting_over_ends_the_turn_and_hears_no_more_of_it(talk):
    turn_id = talk.ask()
    session = talk.presenter.session
    talk.presenter.start_over()
    talk.say(Text(0, "late"))
    assert (talk.presenter.turns, talk.transport.cancelled) == ((), [turn_id])
    assert talk.presenter.session != session


def test_text_streams_on_while_a_result_is_put_on_the_views_piece_by_piece(talk):
    talk.scene.pieces, talk.host.holds_later = 3, True
    talk.ask()
    talk.say(CALL, RESULT, Text(1, "The left "))
    assert (talk.turn.text, talk.scene.shown) == ("The left ", [])
    talk.say(answer("The left lung.", 1))
    assert not talk.presenter.is_settled
    for _ in range(3):
        talk.host.waiting.pop()()
    assert talk.scene.shown == [(talk.turn.turn_id, RESULT)]
    assert talk.presenter.is_settled


def test_a_turn_taken_back_gets_no_further_pieces_of_its_result(talk):
    talk.scene.pieces, talk.host.holds_later = 3, True
    talk.ask()
    talk.say(CALL, RESULT, answer("The left lung.", 1))
    talk.presenter.undo()
    while talk.host.waiting:
        talk.host.waiting.pop()()
    assert (talk.scene.shown, talk.scene.pieces_shown) == ([], 1)
    assert talk.presenter.is_settled


def test_what_the_person_decides_about_a_result_is_done_and_asked_no_more(talk):
    done = []
    act = Choice("Replace mine", lambda: iter([done.append("replaced")]))
    talk.scene.to_decide = Decision("t", "You edited 'liver'.", (Choice("Keep both"), act))
    talk.ask()
    talk.say(CALL, RESULT, answer("The left lung.", 1))
    (decision,) = talk.presenter.decisions
    talk.presenter.decide(decision, act)
    talk.presenter.decide(decision, act)
    assert (done, talk.presenter.decisions) == (["replaced"], ())
    assert talk.presenter.is_settled


def test_undoing_or_leaving_a_turn_takes_its_open_decision_away(talk):
    turn_id = talk.ask()
    talk.scene.to_decide = Decision(turn_id, "You edited 'liver'.", (Choice("Keep both"),))
    talk.say(CALL, RESULT, answer("The left lung.", 1))
    assert talk.presenter.decisions
    talk.scene.to_decide = None
    talk.presenter.undo()
    assert talk.presenter.decisions == ()


def test_what_undoing_cannot_do_is_told_and_the_conversation_goes_on(talk):
    finish_plain(talk, "One?", "Yes.")
    troubles = []
    talk.presenter.on_trouble = troubles.append

    def fail(_turn_id):
        raise SceneError("gone")
        yield

    talk.scene.remove_results = fail
    talk.presenter.undo()
    assert [error.message for error in troubles] == ["gone"]
    assert talk.presenter.is_settled
    assert talk.presenter.allowed.ask
