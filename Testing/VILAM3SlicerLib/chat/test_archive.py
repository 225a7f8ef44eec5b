"""A conversation that is kept and gone on with."""

from __future__ import annotations

import json

import pytest

from Testing.VILAM3SlicerLib.chat.test_presenter import CALL, RESULT, TRIGGER, answer
from VILAM3SlicerLib.chat.archive import Packer, unpack
from VILAM3SlicerLib.chat.transcript import compose_transcript
from VILAM3SlicerLib.protocol.content_hash import content_hash
from VILAM3SlicerLib.protocol.errors import ErrorBody, InvalidRequest
from VILAM3SlicerLib.protocol.events import Failed, HeatMap, Notice, Prompt, SeenImage, Text
from VILAM3SlicerLib.protocol.messages import IDENTITY, ModelDescription

OVERLAY, HEAT = b"overlay", b"heat"
MODEL = ModelDescription("demo", "vicuna_v1", 16, 224, 2048, True, "cpu", "float32")
EFFUSION = HeatMap("effusion", content_hash(HEAT), 8, 8, IDENTITY, "densenet")


@pytest.fixture
def spoken(talk):
    """A conversation with an expert's result and a question that failed."""
    talk.transport.images = {content_hash(OVERLAY): OVERLAY, EFFUSION.image: HEAT}
    from dataclasses import replace

    talk.presenter.model = MODEL
    result = replace(RESULT, feedback_image=content_hash(OVERLAY), heat_maps=(EFFUSION,))
    talk.ask()
    talk.host.clock += 2.5
    seen = Prompt(0, "USER: <image>", 40, (SeenImage(content_hash(OVERLAY), content_hash(OVERLAY)),))
    talk.say(seen, Text(0, TRIGGER), CALL, result, Notice("shortened", "The oldest turn was left out."))
    talk.say(Text(1, "2104 mL."), answer("The left lung measures 2104 mL.", 1))
    talk.ask("And the right one?")
    talk.say(Failed(ErrorBody("model_failed", "The model failed.", "Ask again.")))
    return talk


def test_the_scene_keeps_what_was_said_and_it_comes_back_the_same(spoken, talk):
    kept = json.loads(json.dumps(spoken.scene.kept))
    archive = unpack(kept)
    first, second = archive.turns
    assert first.text == "The left lung measures 2104 mL."
    assert first.question.images == spoken.presenter.turns[0].question.images
    assert (first.experts[0].result, first.replies[0].prompt) == (
        spoken.presenter.turns[0].experts[0].result,
        spoken.presenter.turns[0].replies[0].prompt,
    )
    assert (first.seconds(0.0), first.replies[1].first_text_at) == (2.5, 2.5)
    assert (second.state, second.error.hint) == ("failed", "Ask again.")
    assert archive.images[content_hash(OVERLAY)] == OVERLAY
    assert archive.images[first.heat_map("effusion").image] == HEAT
    assert first.heat_map("hernia") is None
    assert (first.model, first.model_name) == (MODEL, "demo")


def test_a_restored_conversation_goes_on_where_it_was(spoken):
    from Testing.VILAM3SlicerLib.chat.conftest import Talk

    other = Talk()
    other.presenter.restore(unpack(spoken.scene.kept))
    assert other.scene.kept == spoken.scene.kept
    assert other.presenter.session != spoken.presenter.session
    other.ask("Which is larger?")
    messages = other.transport.requests[0]["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "assistant", "user"]
    assert messages[1]["content"] == TRIGGER
    urls = [part["image_url"]["url"] for part in messages[0]["content"] if part["type"] == "image_url"]
    assert urls[0].startswith("data:image/png;base64,")  # this backend has never seen it
    other.say(answer("The right one."))
    assert other.presenter.undo() is not None
    assert [turn.question.text for turn in unpack(other.scene.kept).turns] == [
        "Segment the lungs.",
        "And the right one?",
    ]


def test_a_turn_that_still_runs_is_not_kept(spoken):
    spoken.ask("Slow?")
    spoken.say(Text(0, "Well"))
    assert len(Packer().pack(spoken.presenter.turns, spoken.presenter.shelf)["turns"]) == 2
    assert len(spoken.scene.kept["turns"]) == 2


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda kept: kept.update(format="other"), "format"),
        (lambda kept: kept.update(version=2), "format"),
        (lambda kept: kept.update(turns=None), "no list of turns"),
        (lambda kept: kept.update(images={}), "image is missing"),
        (lambda kept: kept["images"].update({"aa": "AAAA"}), "was changed"),
        (lambda kept: kept["images"].update({"aa": "no base64!"}), "cannot be read"),
        (lambda kept: kept["turns"][0]["turn"].pop("turn_id"), "turn_id is missing"),
        (lambda kept: kept["turns"][0]["turn"].update(state="odd"), "state"),
    ],
)
def test_what_somebody_changed_is_refused_with_a_reason(spoken, spoil, why):
    kept = json.loads(json.dumps(spoken.scene.kept))
    spoil(kept)
    with pytest.raises(InvalidRequest, match=why):
        unpack(kept)


def test_the_transcript_names_the_pictures_of_the_heat_maps(spoken):
    transcript = compose_transcript(spoken.presenter.turns, lambda name: f"images/{name[:4]}.png")
    expected = {"effusion": f"images/{EFFUSION.image[:4]}.png"}
    assert transcript["turns"][0]["experts"][0]["heat_maps"] == expected
