"""The conversation as rich text: nobody's words are markup, and links say what they are for."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from VILAM3SlicerLib.chat.behind import BehindExpert, BehindRow, LegendRow, ReplyRow, SentImage, TimeRow
from VILAM3SlicerLib.chat.finding_rows import FindingRow
from VILAM3SlicerLib.chat.rows import AnswerSpan, ExpertRow, TurnRow
from VILAM3SlicerLib.desktop.behind_html import behind_html
from VILAM3SlicerLib.desktop.transcript_html import Look, link, read_link, turn_html, welcome_html
from VILAM3SlicerLib.protocol.errors import ErrorBody
from VILAM3SlicerLib.protocol.phrases import translated

LOOK = Look("#777777", "#eeeeee", "#0000ff", "#ff0000")
LUNG = AnswerSpan("left lung", "left lung", "rgb(1, 2, 3)")
TURN = TurnRow(
    "t1",
    "Where?",
    b"png",
    "axial",
    (),
    "done",
    False,
    "",
    None,
    "3.0 s",
    (AnswerSpan("The "), LUNG),
    (),
    (),
    None,
    "demo",
)
NASTY = "<img src=x> & \"quoted\" <b>bold</b>\nnext 'line' %2F"


class Page(HTMLParser):
    """Text, links and tags of a piece of rich text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.links, self.tags = "", [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name == "href"]
        self.text += "\n" if tag == "br" else ""

    def handle_data(self, data) -> None:
        self.text += data


@pytest.mark.parametrize("value", ["left lung", NASTY, "a/b:c?d#e", "ñ ü 肝"])
def test_a_link_gives_back_what_it_was_made_for(value):
    assert read_link(link("segment", value)) == ("segment", value)


@pytest.mark.parametrize("address", ["https://example.org/segment/x", "vilam3:", "file:///etc/passwd"])
def test_other_addresses_are_no_links_of_ours(address):
    assert read_link(address) is None


def test_question_answer_and_errors_are_shown_to_the_letter():
    spans = (AnswerSpan(NASTY), AnswerSpan(NASTY, NASTY, "rgb(1, 2, 3)", NASTY))
    row = replace(
        TURN,
        question=NASTY,
        attached=(NASTY,),
        paragraphs=spans,
        notices=(NASTY,),
        error=ErrorBody("x", NASTY, NASTY),
    )
    page = Page(turn_html(row, LOOK))
    assert page.text.count(NASTY) == 8
    assert page.tags.count("img") == 1  # the question's own picture
    assert "segment" in {read_link(address)[0] for address in page.links}
    assert ("segment", NASTY) in [read_link(address) for address in page.links]


def test_an_answer_leads_to_its_segment_and_behind_the_scenes():
    page = Page(turn_html(TURN, LOOK))
    assert [read_link(address) for address in page.links] == [
        ("behind", "t1"),
        ("segment", "left lung"),
        ("behind", "t1"),
    ]
    assert "The ■\xa0left lung" in page.text


def test_what_changes_each_second_is_not_in_the_text_of_a_running_turn():
    expert = ExpertRow("CT_TISSUE", "lungs", "1.1", "running", "Growing", 40, "4 s", "about 6 s more")
    before = replace(TURN, running=True, state="expert", experts=(expert,))
    after = replace(before, elapsed="9.9 s", experts=(replace(expert, percent=60, elapsed="9 s"),))
    assert turn_html(before, LOOK) == turn_html(after, LOOK)


def test_only_an_ended_turn_can_be_asked_again():
    failed = replace(TURN, state="failed", error=ErrorBody("connection_lost", "Gone.", "Start it."))
    assert ("again", "t1") in [read_link(address) for address in Page(turn_html(failed, LOOK)).links]
    running = replace(failed, running=True)
    assert "again" not in [read_link(address)[0] for address in Page(turn_html(running, LOOK)).links]


def test_a_welcome_offers_what_can_be_done():
    page = Page(
        welcome_html(
            "Ask", "hint", [("ask", "Segment <all>.", "Segment <all>."), ("backend", "", "Start")], LOOK
        )
    )
    assert [read_link(address) for address in page.links] == [("ask", "Segment <all>."), ("backend", "")]


def test_behind_the_scenes_keeps_prompt_and_result_to_the_letter_and_each_picture():
    row = BehindRow(
        "t1",
        "Where?",
        (SentImage(b"sent", "axial"),),
        (ReplyRow(1, f"USER: {NASTY}", 40, (b"seen",), NASTY, "0.5 s"),),
        (
            BehindExpert(
                "CT_TISSUE 1.1", "<CT>", NASTY, b"overlay", (LegendRow("rgb(1, 2, 3)", "lung"),), "{}"
            ),
        ),
        (TimeRow("Tokens", "40 in"),),
    )
    html, pictures = behind_html(row)
    page = Page(html)
    assert page.text.count(NASTY) == 3
    assert list(pictures.values()) == [b"sent", b"seen", b"overlay"]
    assert page.tags.count("img") == 3


def test_a_finding_with_a_heat_map_leads_to_it_and_others_do_not():
    findings = (
        FindingRow("Pleural/Effusion", "0.84", 84, True, "densenet"),
        FindingRow("Edema", "0.21", 21, False, ""),
    )
    expert = ExpertRow("CXR", "", "1.0", "done", "2 findings rated", 100, "1 s", "", findings)
    page = Page(turn_html(replace(TURN, experts=(expert,)), LOOK))
    assert ("heat", "t1/Pleural/Effusion") in [read_link(address) for address in page.links]
    assert not [address for address in page.links if "Edema" in address]
    assert "0.84" in page.text
    assert "Edema" in page.text


def test_what_is_ours_is_said_in_the_persons_language_and_what_a_model_wrote_is_not():
    words = {
        "Ask again": "Nochmals fragen",
        "Stopped.": "Angehalten.",
        "Behind the scenes": "Hinter den Kulissen",
    }
    german = replace(
        LOOK, said=lambda text: translated(text, lambda _context, english: words.get(english, english))
    )
    said = AnswerSpan("Stopped. Ask again.")
    row = replace(TURN, state="stopped", paragraphs=(said,), error=ErrorBody("x", "No.", ""))
    page = Page(turn_html(row, german)).text
    assert "Stopped. Ask again." in page
    for expected in words.values():
        assert page.count(expected) == 1
