"""What goes along with a question: points, a box, the sequences of an MRI study."""

from __future__ import annotations

import json

import pytest

from VILAM3SlicerLib.chat.archive import Packer, unpack
from VILAM3SlicerLib.chat.interfaces import PackedSequence, PackedVolume
from VILAM3SlicerLib.chat.marks import Marks
from VILAM3SlicerLib.chat.rows import turn_row
from VILAM3SlicerLib.chat.transcript import compose_transcript
from VILAM3SlicerLib.chat.turn import QuestionSequence
from VILAM3SlicerLib.protocol.codec import from_json
from VILAM3SlicerLib.protocol.errors import ConnectionLost, InvalidRequest
from VILAM3SlicerLib.protocol.events import Answer
from VILAM3SlicerLib.protocol.messages import BoxRegion, MriSequence, PointPrompt, TurnContext

BOX = BoxRegion((20, 0, 0, -12, 0, 30, 0, 8, 0, 0, 40, -100, 0, 0, 0, 1))
MARKS = Marks((PointPrompt((1.0, 2.0, 3.0)), PointPrompt((4.0, 5.0, 6.0), False)), BOX, ("liver",))
ANSWER = Answer(0, "Yes.", "stop", 100, 5, "demo", 1.0)
T1, T2 = "cd" * 32, "ab" * 32


@pytest.fixture
def study(talk):
    """Two sequences of which the second is the scan that is talked about."""
    talk.scene.sequences = (
        PackedSequence("T1", "Doe^Jane 3: ax", PackedVolume(T1, (b"t1",))),
        PackedSequence("T2", "Doe^Jane 4: ax", PackedVolume(T2, (b"t2",))),
    )
    return talk


def context(talk) -> TurnContext:
    """What the backend reads, over JSON."""
    return from_json(TurnContext, json.loads(json.dumps(talk.transport.requests[-1]["vilam3"])))


def text(talk, place: int = -1) -> str:
    return talk.transport.requests[-1]["messages"][place]["content"][-1]["text"]


def test_marks_go_with_their_question_and_with_no_other(talk) -> None:
    talk.scene.marks = MARKS
    talk.ask("What is here?")
    assert context(talk).points == MARKS.points
    assert context(talk).box == BOX
    assert not talk.scene.marks
    talk.say(ANSWER)
    talk.ask("And elsewhere?")
    assert context(talk).points == ()
    assert context(talk).box is None


def test_the_model_reads_of_the_marked_structure_now_and_in_later_turns(talk) -> None:
    talk.scene.marks = MARKS
    talk.ask("What is here?")
    said = "What is here?\nThe question is about a place in the liver."
    assert text(talk) == said
    assert talk.turn.question.text == "What is here?"
    talk.say(ANSWER)
    talk.ask("And elsewhere?")
    assert text(talk, 0) == said
    assert text(talk) == "And elsewhere?"


def test_undo_gives_the_marks_back_with_the_question(talk) -> None:
    talk.scene.marks = MARKS
    talk.ask()
    talk.say(ANSWER)
    talk.presenter.undo()
    assert talk.scene.marks == MARKS


def test_asking_again_takes_the_marks_of_the_question_that_failed(talk) -> None:
    talk.scene.marks = MARKS
    talk.transport.volume_error = ConnectionLost("gone")
    turn_id = talk.ask("What is here?")
    assert talk.turn.state == "failed"
    talk.transport.volume_error = None
    again = talk.presenter.ask_again(turn_id, "CT", "as_seen")
    assert again.question.text == "What is here?"
    assert context(talk).points == MARKS.points


def test_marks_that_were_placed_meanwhile_are_for_the_next_question(talk) -> None:
    talk.scene.marks = MARKS
    talk.transport.volume_error = ConnectionLost("gone")
    turn_id = talk.ask("What is here?")
    talk.transport.volume_error = None
    new = Marks((PointPrompt((7.0, 8.0, 9.0)),))
    talk.scene.marks = new
    talk.presenter.ask_again(turn_id, "CT", "as_seen")
    assert (context(talk).points, talk.scene.marks) == (MARKS.points, new)
    with pytest.raises(InvalidRequest):
        talk.presenter.ask_again(turn_id, "CT", "as_seen")  # the last one is still being answered
    assert talk.scene.marks == new
    talk.say(ANSWER)
    talk.presenter.undo()
    assert talk.scene.marks == new


def test_every_volume_of_a_study_is_sent_once_and_named_by_role_only(study) -> None:
    study.ask()
    assert [volume.sha256 for volume in study.transport.volumes] == [T2, T1]
    assert context(study).volume == T2
    assert context(study).sequences == (MriSequence(T1, "", "T1"), MriSequence(T2, "", "T2"))
    assert [view.volume for view in context(study).views] == [T1, T2]
    assert "Doe" not in json.dumps(study.transport.requests)


def test_pictures_of_other_views_are_of_the_scan_itself(study) -> None:
    first = study.scene.capture
    study.scene.capture = lambda mode: (*first(mode), first(mode)[0])
    study.ask()
    assert [view.volume for view in context(study).views] == [T1, T2, T2]


def test_one_picture_of_a_study_is_that_of_the_scan(talk) -> None:
    talk.ask()
    assert [view.volume for view in context(talk).views] == [T2]


def test_stopping_between_two_volumes_sends_no_more(study) -> None:
    study.transport.holds_volumes = True
    study.ask()
    assert study.turn.activity == "Sending the scan, 1 of 2"
    study.presenter.stop()
    study.transport.uploads[0].on_done()
    assert len(study.transport.uploads) == 1
    assert not study.transport.requests


def test_what_went_along_is_kept_and_shown(study) -> None:
    study.scene.marks = MARKS
    study.ask()
    study.say(ANSWER)
    kept = unpack(json.loads(json.dumps(Packer().pack(study.presenter.turns, study.presenter.shelf))))
    question = kept.turns[0].question
    assert question.marks == MARKS
    assert question.sequences[0] == QuestionSequence("T1", "Doe^Jane 3: ax", T1)
    assert turn_row(kept.turns[0], [], 0.0).attached == (
        "Include R 1, A 2, S 3",
        "Exclude R 4, A 5, S 6",
        "Box 20 × 30 × 40 mm at L 12, A 8, I 100",
        "The model was told: The question is about a place in the liver.",
        "T1: Doe^Jane 3: ax",
        "T2: Doe^Jane 4: ax",
    )
    transcript = compose_transcript(kept.turns, lambda name: None)["turns"][0]
    assert transcript["marks"]["structures"] == ("liver",)
    assert [one["role"] for one in transcript["sequences"]] == ["T1", "T2"]


def test_an_archive_from_before_there_were_marks_is_read(talk) -> None:
    talk.ask()
    talk.say(ANSWER)
    data = json.loads(json.dumps(Packer().pack(talk.presenter.turns, talk.presenter.shelf)))
    del data["turns"][0]["turn"]["question"]["marks"], data["turns"][0]["turn"]["question"]["sequences"]
    assert unpack(data).turns[0].question.marks == Marks()
