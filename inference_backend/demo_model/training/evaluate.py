"""Measures a built demo model on held-out questions and on pictures of held-out scans.

Prompts and replies come from the code that serves, so training and serving cannot disagree unseen.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from inference_backend.conversation.interfaces import Message
from inference_backend.conversation.model_cards import compose_cards
from inference_backend.conversation.prompting import Wording, compose
from inference_backend.demo_model.layout import PROMPT_LAYOUT
from inference_backend.demo_model.training.held_out import GROUPS, PICTURED, Case, HeldOut
from inference_backend.demo_model.training.slices import IMAGE_SIZE, LabelledImage
from inference_backend.experts.ct_tissue import create as create_ct_tissue
from inference_backend.vila_m3.engine import VilaM3Engine
from inference_backend.vila_m3.sampling import GenerationSettings

LONGEST_REPLY = 96
DESCRIBED_PICTURES = 40
_CALL = re.compile(r"<[^<>()]+\([^<>()]*\)>")


@dataclass(frozen=True)
class Outcome:
    """A case with the reply it got."""

    case: Case
    reply: str

    @property
    def is_right(self) -> bool:
        """Whether the reply calls what it should and says what it must."""
        calls = _CALL.findall(self.reply)
        if self.case.calls is not None:
            return calls == [self.case.calls] and self.reply.count("<") == 1
        said = all(text.lower() in self.reply.lower() for text in self.case.needs)
        one_said = not self.case.needs_one_of or any(text in self.reply for text in self.case.needs_one_of)
        return "<" not in self.reply and said and one_said


def judge(engine: VilaM3Engine, cases: Sequence[Case], report: Callable[[str], None]) -> list[Outcome]:
    """Ask the model every case, most likely token first."""
    outcomes = []
    for case in cases:
        messages = compose(
            case.turns, Wording(compose_cards(case.cards), case.modality, layout=PROMPT_LAYOUT)
        )
        reply = "".join(engine.reply(messages, GenerationSettings(max_new_tokens=LONGEST_REPLY)))
        outcomes.append(Outcome(case, reply.strip()))
        if not outcomes[-1].is_right:
            report(
                f"[{case.group}] {case.turns[-1].text[-80:]!r} -> {reply!r} "
                f"(wanted {case.calls or case.needs})"
            )
    return outcomes


def shares(outcomes: Sequence[Outcome]) -> dict[str, dict[str, float | int]]:
    """Cases, right ones and their share, by group."""
    result: dict[str, dict[str, float | int]] = {}
    for group in GROUPS:
        judged = [outcome.is_right for outcome in outcomes if outcome.case.group == group]
        if judged:
            result[group] = {
                "cases": len(judged), "right": sum(judged), "share": round(sum(judged) / len(judged), 4)
            }  # fmt: skip
    return result


def by_cards(outcomes: Sequence[Outcome]) -> dict[str, dict[str, int]]:
    """The registered cases told apart by the cards offered: CT_TISSUE alone is the demo."""
    parts: dict[str, dict[str, int]] = {}
    for outcome in outcomes:
        if outcome.case.group == "registered":
            names = [card.name for card in outcome.case.cards]
            one = names[0] if names == ["CT_TISSUE"] else "another"
            part = parts.setdefault(
                f"{one} alone" if len(names) == 1 else "several cards", {"cases": 0, "right": 0}
            )
            part["cases"] += 1
            part["right"] += outcome.is_right
    return parts


def measure(
    checkpoint: Path, pictures: Sequence[LabelledImage], report: Callable[[str], None]
) -> dict[str, Any]:
    """All figures of a built checkpoint, with ``pictures`` of held-out scans."""
    engine = VilaM3Engine(checkpoint)
    outcomes = judge(engine, HeldOut(by_modality(pictures)).cases(), report)
    return {
        **shares(outcomes),
        "by cards": by_cards(outcomes),
        "described": describe(engine, pictures[:DESCRIBED_PICTURES], report),
    }


def by_modality(pictures: Sequence[LabelledImage]) -> Mapping[str, bytes]:
    """A picture (PNG) of each modality, noise where there is none."""
    noise = np.random.default_rng(0).integers(0, 255, (IMAGE_SIZE, IMAGE_SIZE), dtype=np.uint8)
    found = {picture.modality: png(picture.pixels) for picture in reversed(pictures)}
    return {modality: found.get(modality, png(noise)) for modality in PICTURED}


def describe(
    engine: VilaM3Engine, pictures: Sequence[LabelledImage], report: Callable[[str], None]
) -> dict[str, float | int]:
    """How often the model says plane and region of a picture right; the modality stands in the prompt."""
    cards = compose_cards((create_ct_tissue().card,))
    right = {"plane": 0, "region": 0}
    for picture in pictures:
        question = Message("user", "Say what sort of picture I have here.", (png(picture.pixels),))
        messages = compose((question,), Wording(cards, picture.modality, layout=PROMPT_LAYOUT))
        reply = "".join(engine.reply(messages, GenerationSettings(max_new_tokens=LONGEST_REPLY)))
        right["plane"] += picture.plane in reply
        right["region"] += picture.region in reply
        report(f"{picture.modality} {picture.plane} {picture.region} ({picture.scan}) -> {reply!r}")
    return {
        "pictures": len(pictures), **{name: round(count / len(pictures), 4) for name, count in right.items()}
    }  # fmt: skip


def png(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """A greyscale picture as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()
