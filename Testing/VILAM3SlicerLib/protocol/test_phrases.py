"""Texts that are English to everybody, and another language to a front end that has one."""

from __future__ import annotations

import ast
import json
from copy import deepcopy
from pathlib import Path

import VILAM3SlicerLib
from VILAM3SlicerLib.protocol.phrases import joined, phrases, translated

_ = phrases("VILAM3SlicerLib.chat.rows")
GERMAN = {
    ("chat.rows", "{count} of {total:.1f} found"): "von {total:.0f} {count} gefunden",
    ("chat.rows", "none"): "keine",
    ("chat.rows", "and"): "und",
    ("chat.rows", "{count} left"): "{anzahl} noch",
}


def german(context, text):
    return GERMAN.get((context, text), text)


def test_a_phrase_is_a_plain_english_text():
    phrase = _("{count} of {total:.1f} found").format(count=1, total=2)
    assert phrase == "1 of 2.0 found"
    assert json.loads(json.dumps(phrase)) == phrase
    assert type(deepcopy(phrase)) is str


def test_values_stand_where_the_other_language_wants_them():
    phrase = _("{count} of {total:.1f} found").format(count=_("none"), total=2)
    assert translated(phrase, german) == "von 2 keine gefunden"


def test_joined_phrases_are_translated_each():
    assert joined(", ", ("a {b}", _("none"))) == "a {b}, none"
    assert translated(joined(_("and"), ("a {b}", _("none"))), german) == "a {b}undkeine"


def test_a_wrong_translation_and_an_unknown_one_give_english():
    assert translated(_("{count} left").format(count=3), german) == "3 left"
    assert translated(_("{count} right").format(count=3), german) == "3 right"
    assert translated("none", german) == "none"


def test_all_words_can_be_read_from_the_sources_by_slicers_tools():
    """They look for ``_("...")``: a text that is put together inside the parentheses would be lost."""
    found = 0
    for path in Path(VILAM3SlicerLib.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
                (words,) = node.args
                assert isinstance(words, ast.Constant), f"{path.name}, line {node.lineno}"
                found += 1
    assert found > 100
