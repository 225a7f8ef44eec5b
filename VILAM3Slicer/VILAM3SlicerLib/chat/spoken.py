"""What a model says to the person, as opposed to the words with which it calls an expert.

A call, ``Let me trigger <VISTA3D(liver)>.``, is a message to the machine: it would stand in the transcript
for a second and give way to the line of the expert. So words that may still become one wait until it is
clear. The exact text is kept with the reply.
"""

from __future__ import annotations

import re

_LEADS = ("This looks like", "Let me")
"""How the sentences begin that lead to a call, as the models were trained to write them."""

_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_CALL = re.compile(r"<\s*(?![\w-]*image\b)[A-Za-z]")
_CALL_OR_OPEN = re.compile(rf"{_CALL.pattern}|<\s*$")


def is_call(text: str) -> bool:
    """Whether a reply so far has the beginning of an expert's call."""
    return _CALL.search(text) is not None


def spoken(text: str) -> str:
    """A reply that is still being written, without its end that is, leads to, or may become a call."""
    call = _CALL_OR_OPEN.search(text)
    sentences = kept = _sentences(text[: call.start()] if call else text)
    while kept and _may_lead(kept[-1]):
        kept = kept[:-1]
    return text if call is None and kept == sentences else "".join(kept).rstrip()


def _sentences(text: str) -> list[str]:
    """All of the text, cut where a sentence begins."""
    starts = [0, *(match.end() for match in _SENTENCE.finditer(text))]
    return [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]


def _may_lead(sentence: str) -> bool:
    begins = sentence.strip()
    return any(begins.startswith(lead) or lead.startswith(begins) for lead in _LEADS)
