"""How people type: with or without capitals and full stop, with a word before or after, with a slip."""

from __future__ import annotations

import numpy as np

from inference_backend.demo_model.training.scenes import phrasings
from inference_backend.demo_model.training.vocabulary import pick

CONTEXT_SHARE = 0.12
REASON_SHARE = 0.08
SLIP_SHARE = 0.06
SHORTEST_WORD_WITH_A_SLIP = 6


def typed(random: np.random.Generator, template: str, words: str = "") -> str:
    """A template as somebody may type it; ``words`` stand where it says ``{x}``."""
    text = template.format(x=words)
    chance = random.random()
    if chance < 0.15:
        text = text.lower()
    elif chance < 0.3:
        text = text.rstrip(".?!")
    elif chance < 0.85:
        text = text[:1].upper() + text[1:]
    return with_slip(random, text) if random.random() < SLIP_SHARE else text


def in_context(random: np.random.Generator, request: str) -> str:
    """A request, sometimes after something that is said first, sometimes with its reason."""
    if random.random() < CONTEXT_SHARE:
        request = f"{pick(random, phrasings()['contexts'])} {request}"
    if random.random() < REASON_SHARE:
        stop = "" if request.endswith((".", "?", "!")) else "."
        request = f"{request}{stop} {pick(random, phrasings()['reasons'])}"
    return request


def with_slip(random: np.random.Generator, text: str) -> str:
    """The text with one letter of a longer word lost, doubled or swapped with the next."""
    words = text.split(" ")
    long = [place for place, word in enumerate(words) if len(word) >= SHORTEST_WORD_WITH_A_SLIP]
    if not long:
        return text
    place = long[int(random.integers(len(long)))]
    word = words[place]
    at = int(random.integers(1, len(word) - 2))
    words[place] = (
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    )[int(random.integers(3))]
    return " ".join(words)
