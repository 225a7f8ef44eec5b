"""The line about the running question; its widgets are played by the test, which needs no Qt."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from Testing.VILAM3SlicerLib.chat.conftest import Talk
from Testing.VILAM3SlicerLib.chat.test_presenter import CALL, TRIGGER
from VILAM3SlicerLib.chat.rows import turn_row
from VILAM3SlicerLib.protocol.events import ExpertProgress, Prompt, Text


class Widget(SimpleNamespace):
    """Keeps what it is told: ``setValue(3)`` is ``value == 3`` afterwards."""

    def __getattr__(self, name: str):
        assert name.startswith("set"), name
        return lambda value: setattr(self, name[3:].lower(), value)


@pytest.fixture
def ui() -> SimpleNamespace:
    names = ("workBar", "activityLabel", "elapsedLabel", "workProgress")
    return SimpleNamespace(**{name: Widget() for name in names})


@pytest.fixture
def bar(ui, monkeypatch):
    """In a Slicer without translations."""
    untranslated = SimpleNamespace(translate=lambda _context, words: words)
    monkeypatch.setitem(sys.modules, "slicer.i18n", untranslated)
    from VILAM3SlicerLib.desktop.work_bar import WorkBar

    return WorkBar(ui)


def test_a_long_word_is_broken_and_others_are_not(bar):
    from VILAM3SlicerLib.desktop.translation import said_in_lines

    text = "The scan 'CT_THORAX_ABDOMEN_WITH_CONTRAST_1.25_B31f' was closed."
    told = said_in_lines(text)
    assert max(map(len, told.replace("\u200b", " ").split())) <= 24
    assert told.replace("\u200b", "") == text
    assert said_in_lines("A short word, as always.") == "A short word, as always."


def test_an_expert_at_work_is_shown_with_progress_elapsed_and_expected_time(ui, bar):
    talk = Talk()
    talk.ask()
    talk.say(Prompt(0, "USER: <image>", 40, ()), Text(0, TRIGGER), CALL)
    talk.host.clock += 10.0
    talk.say(ExpertProgress("c1", 0.25, "Looking for the lungs"))
    turn = turn_row(talk.presenter.turns[-1], [], talk.host.now())
    bar.show(turn)
    assert ui.workBar.visible
    assert ui.workProgress.value == 25
    assert ui.activityLabel.text == "CT_TISSUE lungs: Looking for the lungs"
    assert ui.elapsedLabel.text == "10 s, about 30 s more"
    bar.show(replace(turn, experts=(), percent=None, activity="Thinking", elapsed="10.0 s"))
    assert (ui.workProgress.value, ui.activityLabel.text, ui.elapsedLabel.text) == (0, "Thinking", "10.0 s")
    assert not {"maximum", "range"} & vars(ui.workProgress).keys(), "endless bars are drawn all the time"
    bar.show(None)
    assert not ui.workBar.visible
