"""What a person does to a report stays; everything else follows the conversation."""

from __future__ import annotations

import json

from VILAM3SlicerLib.chat.report_document import (
    PERSON,
    ReportDocument,
    ReportSection,
    Sentence,
    Source,
    added,
    edited,
    followed,
    moved,
)
from VILAM3SlicerLib.protocol.codec import from_json, to_json

EXPERT = Source("expert", "VISTA3D 0.5")


def draft(findings: str, impression: str = "") -> ReportDocument:
    """A letter for each sentence, which is its key too."""
    return ReportDocument(
        (
            ReportSection("question"),
            ReportSection("findings", tuple(Sentence(one, EXPERT, one) for one in findings)),
            ReportSection("impression", tuple(Sentence(one, EXPERT, one) for one in impression)),
        )
    )


def texts(report: ReportDocument, name: str = "findings") -> list[str]:
    return [sentence.text for sentence in report.section(name).sentences]


def test_an_edited_sentence_is_the_persons_and_stays_when_the_conversation_goes_on():
    report = edited(draft("abc"), "findings", 1, "  b, but\n better ")
    sentence = report.section("findings").sentences[1]
    assert (sentence.text, sentence.source) == ("b, but better", PERSON)
    assert texts(followed(report, draft("abcd"))) == ["a", "b, but better", "c", "d"]


def test_an_edited_sentence_outlives_the_turn_that_it_came_from():
    report = edited(draft("abc"), "findings", 2, "mine")
    assert texts(followed(report, draft("a"))) == ["a", "mine"]


def test_typing_the_same_again_changes_nothing():
    report = draft("ab")
    assert edited(report, "findings", 0, "a ") is report


def test_a_removed_sentence_does_not_come_back():
    report = edited(draft("abc"), "findings", 0, " ")
    assert texts(followed(report, draft("abcd"))) == ["b", "c", "d"]


def test_an_added_sentence_stays_behind_the_one_that_it_followed():
    report = added(draft("abc"), "findings", 1, "new")
    assert texts(report) == ["a", "new", "b", "c"]
    assert texts(followed(report, draft("xabc"))) == ["x", "a", "new", "b", "c"]
    assert added(report, "findings", 0, "  ") is report


def test_a_moved_sentence_keeps_its_source_and_its_new_place():
    report = moved(draft("abc", "i"), "findings", 1, "impression")
    assert (texts(report), texts(report, "impression")) == (["a", "c"], ["i", "b"])
    assert report.section("impression").sentences[1].source == EXPERT
    report = followed(report, draft("abci", "j"))
    assert (texts(report), texts(report, "impression")) == (["a", "c", "i"], ["b", "j"])


def test_what_nobody_touched_is_as_composed():
    assert followed(draft("abc", "i"), draft("xy", "z")) == draft("xy", "z")
    assert not draft("abc").is_touched


def test_a_report_survives_as_json():
    report = moved(edited(draft("abc", "i"), "findings", 0, ""), "findings", 0, "impression")
    assert report.is_touched
    assert from_json(ReportDocument, json.loads(json.dumps(to_json(report)))) == report
