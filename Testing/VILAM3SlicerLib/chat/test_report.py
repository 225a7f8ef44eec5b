"""The draft report and the transcript say where each thing comes from, and nothing of the patient."""

from __future__ import annotations

import json

import pytest

from VILAM3SlicerLib.chat.report import ScanFacts, compose_report, sentences
from VILAM3SlicerLib.chat.transcript import compose_transcript, image_names
from VILAM3SlicerLib.protocol.events import (
    Answer,
    ExpertCalled,
    ExpertResult,
    Prompt,
    SeenImage,
    SegmentInfo,
    Text,
)
from VILAM3SlicerLib.protocol.messages import ModelDescription

MODEL = ModelDescription("SmolLM2 135M", "vicuna_v1", 16, 224, 2048, True, "cpu", "float32")
SCAN = ScanFacts("CT", (512, 512, 133), (0.703125, 0.703125, 2.5), "ab" * 32)
ANSWER = "The left lung measures 2104.5 mL. It is smaller than the right one."


@pytest.fixture
def turns(talk):
    talk.transport.images = {"bb" * 32: b"seen", "ff" * 32: b"overlay"}
    talk.ask("Segment the\nlungs.")
    trigger = "<CT_TISSUE(lungs)>"
    segments = (
        SegmentInfo("left lung", (1,), "Lung", 4000, 2104.46, (0.0, 0.0, 0.0)),
        SegmentInfo("right lung", (2,), "Lung", 10, 5.26, (0.0, 0.0, 0.0)),
    )
    talk.say(
        Prompt(0, "USER: <image>", 40, (SeenImage("aa", "bb" * 32),)),
        Text(0, trigger),
        ExpertCalled("c1", 0, "CT_TISSUE", "lungs", "1.0", trigger, trigger),
        ExpertResult("c1", "CT_TISSUE", "1.0", "lungs", 2.0, "The results", "ff" * 32, "r1", segments),
        Prompt(1, "USER: more", 60, (SeenImage("aa", "cc" * 32),)),
        Text(1, ANSWER),
    )
    talk.host.clock += 7.5
    talk.say(Answer(1, ANSWER, "stop", 60, 12, "SmolLM2 135M", 7.0))
    return talk.presenter.turns


def test_report_marks_every_statement_with_its_source(turns):
    report = compose_report(turns, SCAN, MODEL, "2026-11-22")
    assert "not for diagnosis" in report
    assert "SmolLM2 135M (demo model)" in report
    assert "| left lung | 2,104 mL | CT_TISSUE 1.0 |" in report
    assert "| right lung | 5.3 mL | CT_TISSUE 1.0 |" in report
    assert "**Segment the lungs.** _[person]_" in report
    answers = [line for line in report.splitlines() if line.startswith(("- The left", "- It is"))]
    assert len(answers) == 2
    assert all("_[model: SmolLM2 135M (demo model); from expert: CT_TISSUE 1.0]_" in line for line in answers)


def test_report_says_when_nothing_was_measured(talk):
    talk.ask("What is this?")
    talk.say(Answer(0, "A CT.", "stop", 10, 3, "m", 1.0))
    report = compose_report(talk.presenter.turns, None, None, "2026-11-22")
    assert "No expert was asked to measure anything." in report


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("It measures 2104.5 mL. It is large.", 2),
        ("One", 1),
        ("Is it? Yes! Good.", 3),
        ("", 0),
        ("about 3. mm", 1),
    ],
)
def test_sentences_end_where_a_new_one_begins(text, count):
    assert len(sentences(text)) == count


def test_transcript_has_prompts_images_trigger_and_result(turns):
    transcript = json.loads(json.dumps(compose_transcript(turns, MODEL, lambda name: name[:4])))
    (turn,) = transcript["turns"]
    assert [reply["prompt"] for reply in turn["replies"]] == ["USER: <image>", "USER: more"]
    assert turn["replies"][0]["images_as_seen"][0]["image"] == "bbbb"
    assert turn["experts"][0]["trigger"] == "<CT_TISSUE(lungs)>"
    assert turn["experts"][0]["result"]["segments"][0]["volume_ml"] == 2104.46
    assert turn["answer"]["text"] == ANSWER
    assert turn["seconds"] == 7.5
    assert transcript["model"]["is_demo"] is True


def test_transcript_names_each_image_once(turns):
    names = image_names(turns)
    assert names[1:] == ["bb" * 32, "cc" * 32, "ff" * 32]
