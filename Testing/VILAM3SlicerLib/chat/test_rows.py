"""What a view shows of a turn, in words, while it runs and after."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from VILAM3SlicerLib.chat.behind import behind_row
from VILAM3SlicerLib.chat.rows import SegmentRow, image_caption, images_caption, turn_row
from VILAM3SlicerLib.chat.turn import QuestionImage
from VILAM3SlicerLib.chat.words import RESEARCH_USE, standing_notice
from VILAM3SlicerLib.protocol.errors import ErrorBody
from VILAM3SlicerLib.protocol.events import (
    Answer,
    ExpertCalled,
    ExpertFailed,
    ExpertProgress,
    ExpertResult,
    Finding,
    HeatMap,
    LegendEntry,
    Prompt,
    SeenImage,
    SegmentInfo,
    Text,
)
from VILAM3SlicerLib.protocol.messages import IDENTITY, ModelDescription, ViewGeometry

TRIGGER = "<CT_TISSUE(lungs)>"
CALL = ExpertCalled("c1", 0, "CT_TISSUE", "lungs", "1.0", TRIGGER, TRIGGER)
SEEN, OVERLAY = "bb" * 32, "ff" * 32
LUNGS = (
    SegmentInfo("left lung", (1,), "Lung", 4000, 2104.46, (0.0, 0.0, 0.0)),
    SegmentInfo("right lung", (2,), "Lung", 0, 0.0, None),
)
LEGEND = (LegendEntry("red", (1.0, 0.0, 0.5), "left lung"),)
RESULT = ExpertResult("c1", "CT_TISSUE", "1.0", "lungs", 2.0, "The results", OVERLAY, "r1", LUNGS, LEGEND)
ON_SCREEN = [SegmentRow("id1", "left lung", (10, 20, 30), 2104.46, True, "CT_TISSUE 1.0")]


HEAT = HeatMap("effusion", "ee" * 32, 8, 8, IDENTITY, "densenet121-res224-all")
FINDINGS = (Finding("atelectasis", 0.312), Finding("effusion", 0.8), Finding("hernia", 0.5))
RATED = ExpertResult("c1", "CXR", "1", "", 0.5, "Predictions", None, findings=FINDINGS, heat_maps=(HEAT,))


@pytest.fixture
def called(talk):
    talk.transport.images = {SEEN: b"seen", OVERLAY: b"overlay"}
    talk.ask()
    talk.say(Prompt(0, "USER: <image>", 40, (SeenImage("aa", SEEN),)), Text(0, TRIGGER), CALL)
    return talk


def row(talk, segments=()):
    return turn_row(talk.turn, segments, talk.host.clock)


def test_time_still_needed_follows_from_the_pace_so_far(called):
    called.host.clock += 8
    (expert,) = row(called).experts
    assert (expert.state, expert.elapsed, expert.expected) == ("running", "8 s", "")
    called.say(ExpertProgress("c1", 0.25, "Growing"))
    (expert,) = row(called).experts
    assert (expert.percent, expert.detail, expert.expected) == (25, "Growing", "about 24 s more")
    called.say(RESULT)
    assert row(called).experts[0].expected == ""


def test_an_empty_structure_is_not_counted_as_found(called):
    called.say(RESULT)
    assert row(called).experts[0].detail == "1 of 2 structures found in 2.0 s; not found: right lung"


def test_many_structures_that_were_not_found_are_only_counted(called):
    empty = tuple(replace(LUNGS[1], name=f"part {number}") for number in range(5))
    called.say(replace(RESULT, segments=(LUNGS[0], *empty)))
    assert row(called).experts[0].detail == "1 of 6 structures found in 2.0 s"


def test_findings_without_segments_are_summed_up_by_the_strongest(called):
    findings = (Finding("Edema", 0.21), Finding("Effusion", 0.84))
    called.say(ExpertResult("c1", "CXR", "1", "", 1.5, "Findings", findings=findings))
    assert row(called).experts[0].detail == "2 findings rated, highest Effusion 0.84 in 1.5 s"


def test_answer_leads_only_to_segments_on_the_screen(called):
    words = "The left lung is red, the right lung is missing."
    called.say(RESULT, Text(1, words), Answer(1, words, "stop", 10, 3, "demo", 1.0))
    shown = row(called, ON_SCREEN)
    assert "".join(span.text for span in shown.paragraphs) == words
    assert [(span.text, span.segment) for span in shown.paragraphs if span.segment] == [
        ("left lung", "left lung"),
        ("red", "left lung"),
    ]
    (colour,) = [span for span in shown.paragraphs if span.stands_for]
    assert (colour.colour, colour.stands_for) == ("rgb(10, 20, 30)", "left lung")
    assert shown.source == "Written by demo, with the result of CT_TISSUE 1.0"


def test_answer_leads_to_the_segments_of_other_questions_too(called):
    words = "As I said, the left lung is large."
    called.say(Answer(1, words, "stop", 10, 3, "demo", 1.0))
    shown = row(called, ON_SCREEN)
    assert [(span.text, span.segment) for span in shown.paragraphs if span.segment] == [
        ("left lung", "left lung")
    ]
    assert not any(span.segment for span in row(called).paragraphs)


def test_a_colour_of_two_segments_tells_both(called):
    again = LegendEntry("red", (1, 0, 0), "right lung")
    called.say(replace(RESULT, legend=(*RESULT.legend, again)), Text(1, "It is red."))
    (colour,) = [span for span in row(called, ON_SCREEN).paragraphs if span.stands_for]
    assert (colour.segment, colour.stands_for) == ("left lung", "left lung or right lung")


def test_behind_the_scenes_has_prompt_pictures_result_and_times(called):
    words = "It measures 2104 mL."
    called.host.clock += 3
    called.say(RESULT, Text(1, words), Answer(1, words, "stop", 60, 12, "demo", 1.0))
    behind = behind_row(called.turn, called.presenter.shelf)
    assert [image.png for image in behind.sent] == [image.png for image in called.turn.question.images]
    assert (behind.replies[0].prompt, behind.replies[0].seen) == ("USER: <image>", (b"seen",))
    (expert,) = behind.experts
    assert (expert.trigger, expert.overlay, expert.feedback) == (TRIGGER, b"overlay", "The results")
    assert [(entry.colour, entry.text) for entry in expert.legend] == [("rgb(255, 0, 128)", "left lung")]
    assert json.loads(expert.raw)["segments"][0]["volume_ml"] == 2104.46
    assert {row.what: row.value for row in behind.times}["Tokens"] == "60 in, 12 out"


def test_behind_the_scenes_shows_why_an_expert_failed(called):
    error = ErrorBody("expert_failed", "No lungs here.")
    called.say(ExpertFailed("c1", "CT_TISSUE", error, "The expert failed."))
    (expert,) = behind_row(called.turn, called.presenter.shelf).experts
    assert json.loads(expert.raw)["error"]["message"] == "No lungs here."
    assert expert.feedback == "The expert failed."


@pytest.mark.parametrize(
    ("millilitres", "words"),
    [(2104.46, "2,104 mL"), (9.96, "10.0 mL"), (0.04, "0.04 mL"), (0.004, "< 0.01 mL"), (0.0, "not found")],
)
def test_sizes_read_as_people_write_them(millilitres, words):
    assert SegmentRow("id", "name", (0, 0, 0), millilitres, True, "VISTA3D 0.5").size == words


def plain(text):
    return text.replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("plane", "rows", "place"),
    [
        ("axial", ((-1, 0, 0, 9), (0, -1, 0, 9), (0, 0, 3, -175)), "axial I 175.0 mm"),
        ("coronal", ((-1, 0, 0, 9), (0, 0, 1, 7.6), (0, -1, 0, 9)), "coronal A 7.6 mm"),
        ("sagittal", ((0, 0, 1, -14), (-1, 0, 0, 9), (0, -1, 0, 9)), "sagittal L 14.0 mm"),
        ("axial", ((-1, 0, 0, 9), (0, -1, 0, 9), (0.1, 0, 3, 0)), "axial S 5.0 mm"),
        ("oblique", ((-1, 0, 0, 9), (0, -1, 0, 9), (1, 0, 3, 0)), "oblique"),
    ],
)
def test_a_picture_says_where_it_cuts_the_patient(plane, rows, place):
    matrix = (*rows[0], *rows[1], *rows[2], 0.0, 0.0, 0.0, 1.0)
    seen = ViewGeometry("as_seen", plane, 101, 51, matrix, 350.0, 40.0)
    assert plain(image_caption(QuestionImage(b"", seen))).split(",")[0] == place


def test_several_pictures_are_summed_up_by_their_planes():
    axial = ViewGeometry("as_seen", "axial", 400, 300, IDENTITY, 350.0, 40.0)
    first = QuestionImage(b"", axial, "chest")
    assert plain(images_caption([first])) == "chest, axial S 0.0 mm, as seen, 400 × 300 px, W 350 L 40"
    planes = ("axial", "axial", "coronal", "3D")
    views = [replace(first, geometry=replace(axial, plane=plane)) for plane in planes]
    assert images_caption(views) == "4 pictures of chest: 2 axial, 1 coronal, 1 3D"
    sequences = [replace(first, name=name) for name in ("T1", "T1 CE")]
    assert images_caption(sequences) == "2 pictures of T1, T1 CE: 2 axial"


def test_a_long_name_leaves_room_for_the_rest():
    seen = ViewGeometry("as_seen", "axial", 400, 300, IDENTITY, 350.0, 40.0)
    name, *_ = image_caption(QuestionImage(b"", seen, "x" * 200)).split(",")
    assert name == "x" * 39 + "…"


def test_findings_are_listed_by_probability_with_the_network_whose_map_can_be_shown(called):
    called.transport.images[HEAT.image] = b"heat"
    called.say(RATED)
    (expert,) = row(called).experts
    told = [(one.name, one.probability, one.percent, one.likely, one.source) for one in expert.findings]
    assert told == [
        ("effusion", "0.80", 80, True, HEAT.source),
        ("hernia", "0.50", 50, True, ""),
        ("atelectasis", "0.31", 31, False, ""),
    ]
    behind = behind_row(called.turn, called.presenter.shelf).experts[0]
    assert behind.findings == expert.findings
    assert [(one.finding, one.png) for one in behind.heat_maps] == [("effusion", b"heat")]


def test_who_answers_stands_beside_the_research_use_notice():
    model = ModelDescription("SmolLM2-135M", "vicuna_v1", 16, 224, 2048, True, "cpu", "float32")
    assert standing_notice(None) == RESEARCH_USE
    for one, said in (
        (model, "SmolLM2-135M answers: a demo model"),
        (replace(model, is_demo=False), "SmolLM2-135M answers."),
    ):
        assert standing_notice(one).startswith(said)
        assert standing_notice(one).endswith(RESEARCH_USE)
