"""Numbers and names as a person reads them, one way everywhere."""

from __future__ import annotations

import re

from VILAM3SlicerLib.protocol.messages import ModelDescription
from VILAM3SlicerLib.protocol.phrases import joined, phrases

_ = phrases(__name__)

RESEARCH_USE = _("For research and teaching, not for diagnosis.")


def millilitres(volume: float) -> str:
    """A volume: whole millilitres from 10 mL on, what is small with two digits that count."""
    digits = 0 if volume >= 10 else 1 if volume >= 1 else 2
    return f"{volume:,.{digits}f} mL" if volume >= 0.01 or not volume else "< 0.01 mL"


def model_name(model: ModelDescription) -> str:
    """The model's name; a demo model is called one."""
    if model.is_demo and not is_demo_name(model.name):
        return f"{model.name} (demo model)"
    return model.name


def is_demo_name(name: str) -> bool:
    """Whether a name, as ``model_name`` gives it, is that of a demo model."""
    return "demo" in name.lower()


def standing_notice(model: ModelDescription | None) -> str:
    """What is always to be read beside a conversation: who answers, and that it is not for diagnosis."""
    if model is None:
        return RESEARCH_USE
    if model.is_demo:
        who = _("{model} answers: a demo model, which knows little.").format(model=model.name)
    else:
        who = _("{model} answers.").format(model=model.name)
    return joined(" ", (who, RESEARCH_USE))


def sentences(text: str) -> list[str]:
    """The sentences of a text, and the lines of a list in it without their marks; a point within a number or
    an abbreviated unit does not end one."""
    lines = (re.sub(r"^\s*[-*•]\s+", "", line) for line in text.splitlines())
    parts = (part for line in lines for part in re.split(r"(?<=[.!?])\s+(?=[A-Z\"'(])", line))
    return [" ".join(part.split()) for part in parts if part.strip()]
