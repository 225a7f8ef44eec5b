"""The words of the toolkit-free parts in the language of the application."""

from __future__ import annotations

from slicer.i18n import translate

from VILAM3SlicerLib.protocol.phrases import translated


def said(text: str) -> str:
    """A phrase in the person's language; any other text, such as a model's or a person's, as it is."""
    return translated(text, translate)
