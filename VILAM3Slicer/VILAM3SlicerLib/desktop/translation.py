"""The words of the toolkit-free parts in the language of the application."""

from __future__ import annotations

import re

from slicer.i18n import translate

from VILAM3SlicerLib.protocol.phrases import translated


def said(text: str) -> str:
    """A phrase in the person's language; any other text, such as a model's or a person's, as it is."""
    return translated(text, translate)


def said_in_lines(text: str) -> str:
    """``said`` for a label that wraps: a name without a space is broken, too, so that no panel gets wide."""
    return re.sub(r"(\S{24})(?=\S)", "\\1\u200b", said(text))
