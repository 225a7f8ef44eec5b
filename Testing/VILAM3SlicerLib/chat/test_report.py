"""The draft report and the transcript say where each thing comes from, and nothing of the patient."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from VILAM3SlicerLib.chat.report_composing import asked_models, compose
from VILAM3SlicerLib.chat.report_exports import ReportHead, ScanFacts, html, markdown, plain_text
from VILAM3SlicerLib.chat.transcript import compose_transcript, image_names
from VILAM3SlicerLib.chat.words import sentences
from VILAM3SlicerLib.protocol.events import (
    Answer,
    ExpertCalled,
    ExpertResult,
    Finding,
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
    talk.presenter.model = MODEL
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


@pytest.fixture
def report(turns):
    return compose(turns)


def statements(report, name: str) -> list[tuple[str, str]]:
    return [(one.text, one.source.label) for one in report.section(name).sentences]


def test_draft_marks_every_statement_with_its_source(report):
    assert statements(report, "question") == [("Segment the lungs.", "person")]
    assert statements(report, "findings") == [
        ("Left lung: 2,104 mL.", "expert: CT_TISSUE 1.0"),
        ("Right lung: 5.3 mL.", "expert: CT_TISSUE 1.0"),
    ]
    assert statements(report, "impression") == [
        ("The left lung measures 2104.5 mL.", "model: SmolLM2 135M (demo model)"),
        ("It is smaller than the right one.", "model: SmolLM2 135M (demo model)"),
    ]


def test_the_last_answer_is_the_impression_and_earlier_ones_are_findings(turns, talk):
    talk.ask("And the heart?")
    talk.say(Answer(0, "The heart is small.", "stop", 10, 3, "Another model", 1.0))
    report = compose(talk.presenter.turns)
    assert statements(report, "impression") == [("The heart is small.", "model: Another model")]
    assert statements(report, "findings")[-1][0] == "It is smaller than the right one."
    assert len(statements(report, "question")) == 2


def test_what_an_expert_did_not_find_and_probabilities_are_said(talk):
    talk.ask("Findings?")
    segments = (SegmentInfo("hepatic tumor", (26,), "", 0, 0.0, None),)
    findings = (Finding("Pneumonia", 0.824),)
    talk.say(
        ExpertCalled("c1", 0, "CXR", "", "2", "<CXR()>", "<CXR()>"),
        ExpertResult("c1", "CXR", "2", "", 2.0, "", segments=segments, findings=findings),
        Answer(1, "Pneumonia is likely.", "stop", 10, 3, "m", 1.0),
    )
    assert [text for text, _ in statements(compose(talk.presenter.turns), "findings")] == [
        "Hepatic tumor: not found.",
        "Pneumonia: probability 0.82.",
    ]


def test_very_many_results_of_one_expert_are_one_sentence(talk):
    talk.ask("Segment everything.")
    segments = tuple(SegmentInfo(f"part {one}", (one,), "", 10, 12.0, None) for one in range(1, 31))
    talk.say(
        ExpertCalled("c1", 0, "VISTA3D", "everything", "2", "<VISTA3D(everything)>", "x"),
        ExpertResult("c1", "VISTA3D", "2", "everything", 2.0, "", segments=segments),
        Answer(1, "Done.", "stop", 10, 3, "m", 1.0),
    )
    ((text, _),) = statements(compose(talk.presenter.turns), "findings")
    assert text.startswith("Part 1: 12 mL; part 2: 12 mL;")


@pytest.mark.parametrize("export", [plain_text, markdown, html])
def test_every_export_has_notice_demo_model_scan_statements_and_sources(report, turns, export):
    text = export(report, ReportHead("2026-11-22", SCAN, asked_models(turns)))
    for part in (
        "For research and teaching, not for diagnosis.",
        "SmolLM2 135M (demo model)",
        "knows little",
        "2026-11-22",
        "512 × 512 × 133 voxels of 0.70 × 0.70 × 2.50 mm",
        "Left lung: 2,104 mL.",
        "expert: CT_TISSUE 1.0",
        "It is smaller than the right one.",
        "model: SmolLM2 135M (demo model)",
        "Segment the lungs.",
        "person",
    ):
        assert part in text


def test_exports_name_the_models_that_answered_whatever_is_connected_later(turns, talk):
    talk.presenter.model = replace(MODEL, name="VILA-M3 3B", is_demo=False)
    talk.ask("And the heart?")
    talk.say(Answer(0, "The heart is small.", "stop", 10, 3, "VILA-M3 3B", 1.0))
    models = asked_models(talk.presenter.turns)
    text = plain_text(compose(talk.presenter.turns), ReportHead("2026-11-22", models=models))
    assert "Language model: SmolLM2 135M (demo model). It is a demo model" in text
    assert "Language model: VILA-M3 3B\n" in text


def test_a_model_that_answers_in_place_of_the_one_asked_is_named_as_it_names_itself(talk):
    talk.presenter.model = MODEL
    talk.ask("What is this?")
    talk.say(Answer(0, "A CT.", "stop", 10, 3, "Another model", 1.0))
    assert asked_models(talk.presenter.turns) == ("Another model",)


def test_exports_say_when_nothing_was_measured(talk):
    talk.ask("What is this?")
    talk.say(Answer(0, "A CT.", "stop", 10, 3, "m", 1.0))
    report = compose(talk.presenter.turns)
    assert "No expert measured anything." in plain_text(report, ReportHead("2026-11-22"))


class Texts(HTMLParser):
    """The text of a page by the tag that it stands in."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.found.append((self.open[-1], data.strip()))


def test_html_is_well_formed_whatever_was_said(talk):
    talk.ask("Is <script>alert(1)</script> & 'co' fine?")
    talk.say(Answer(0, "Yes: a < b & c > d.", "stop", 10, 3, "m", 1.0))
    page = Texts()
    page.feed(html(compose(talk.presenter.turns), ReportHead("2026-11-22")))
    assert page.open == []
    assert ("li", "Is <script>alert(1)</script> & 'co' fine?") in page.found
    assert ("li", "Yes: a < b & c > d.") in page.found
    assert not [tag for tag, _ in page.found if tag == "script"]
    assert "<script" not in markdown(compose(talk.presenter.turns), ReportHead("2026-11-22"))


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


def test_lines_of_a_list_are_statements_of_their_own_without_their_marks():
    told = "Two organs:\n- the liver\n  * the  spleen, -5 HU.\n\nBoth are normal. -3 is a number."
    assert sentences(told) == [
        "Two organs:",
        "the liver",
        "the spleen, -5 HU.",
        "Both are normal. -3 is a number.",
    ]


def test_transcript_has_prompts_images_trigger_and_result(turns):
    transcript = json.loads(json.dumps(compose_transcript(turns, lambda name: name[:4])))
    (turn,) = transcript["turns"]
    assert [reply["prompt"] for reply in turn["replies"]] == ["USER: <image>", "USER: more"]
    assert turn["replies"][0]["images_as_seen"][0]["image"] == "bbbb"
    assert turn["experts"][0]["trigger"] == "<CT_TISSUE(lungs)>"
    assert turn["experts"][0]["result"]["segments"][0]["volume_ml"] == 2104.46
    assert turn["answer"]["text"] == ANSWER
    assert turn["seconds"] == 7.5
    assert turn["model"]["is_demo"] is True


def test_transcript_names_each_image_once(turns):
    names = image_names(turns)
    assert names[1:] == ["bb" * 32, "cc" * 32, "ff" * 32]
