"""The questions that the demo model is measured on, written apart from the training templates."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from inference_backend.conversation import wording
from inference_backend.conversation.interfaces import Message
from inference_backend.conversation.model_cards import BRATS, CXR, VISTA2D, VISTA3D, ModelCard
from inference_backend.demo_model.training.results import segmentation
from inference_backend.demo_model.training.scenes import CELLS, DATA
from inference_backend.experts.ct_tissue import create as create_ct_tissue

GROUPS = {
    "registered": "expert chosen, CT_TISSUE alone and among published cards",
    "no expert": "no expert needed, or none offered that fits",
    "unseen": "expert chosen, cards never seen in training",
    "results": "answers after an expert's result",
    "follow-ups": "follow-up questions on a result",
    "cannot judge": "asked for a diagnosis, says honestly that it cannot",
}
PICTURED = ("CT", "MRI", "CXR", CELLS)
"""The modalities that the questions are about."""
CANNOT = ("cannot", "can't", "not able", "No expert")


@dataclass(frozen=True)
class Case:
    """A conversation whose last reply is judged.

    Attributes:
        calls: the trigger that the reply must hold, once and alone; None where it must hold none.
        needs: texts that the reply must contain; ``needs_one_of``: at least one of these.
    """

    group: str
    cards: tuple[ModelCard, ...]
    modality: str
    turns: tuple[Message, ...]
    calls: str | None = None
    needs: tuple[str, ...] = ()
    needs_one_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class HeldOut:
    """All cases of a question file.

    ``pictures``: a PNG by modality (CT, MRI, CXR and cell imaging). ``file``: the held-out questions, or
    those
    of ``development.json``, whose mistakes were looked at between training runs.
    """

    pictures: Mapping[str, bytes]
    file: str = "held_out.json"

    def cases(self) -> list[Case]:
        """Every case, those with the same cards and picture side by side."""
        data = json.loads((DATA / self.file).read_text(encoding="utf-8"))
        cases = [
            *self._registered(data),
            *self._no_expert(data["no_expert"]),
            *self._unseen(data["unseen_cards"]),
            *self._results(data),
            *self._cannot_judge(data["cannot_judge"]),
        ]
        return sorted(cases, key=lambda case: ([card.name for card in case.cards], case.modality, case.group))

    def _ask(
        self, group: str, cards: Sequence[ModelCard], modality: str, question: str, **wanted: Any
    ) -> Case:
        first = Message("user", question, (self.pictures[modality],))
        return Case(group, tuple(cards), modality, (first,), **wanted)

    def _registered(self, data: Mapping[str, Any]) -> Iterator[Case]:
        tissue = create_ct_tissue().card
        beside = ((VISTA3D,), (BRATS, VISTA3D, VISTA2D, CXR), (CXR,), (BRATS, VISTA2D), (VISTA3D, CXR))
        number = 0
        for argument, questions in data["CT_TISSUE"].items():
            for question in questions:
                call = f"<CT_TISSUE({argument})>"
                yield self._ask("registered", (tissue,), "CT", question, calls=call)
                if number % 2 and argument != "everything":  # beside VISTA3D either would be right
                    others = beside[number // 2 % len(beside)]
                    yield self._ask("registered", (*others, tissue), "CT", question, calls=call)
                number += 1
        yield from self._vista(data, tissue)
        for card, modality in ((BRATS, "MRI"), (VISTA2D, CELLS), (CXR, "CXR")):
            for index, question in enumerate(data[card.name]):
                cards = ((card,), (BRATS, VISTA3D, VISTA2D, CXR), (BRATS, VISTA3D, VISTA2D, CXR, tissue))[
                    index % 3
                ]
                yield self._ask("registered", cards, modality, question, calls=f"<{card.name}()>")

    def _vista(self, data: Mapping[str, Any], tissue: ModelCard) -> Iterator[Case]:
        sets = ((VISTA3D, tissue), (VISTA3D,), (BRATS, VISTA3D, VISTA2D, CXR), (VISTA3D, CXR, tissue))
        asked = [(argument, text) for argument, texts in data["VISTA3D"].items() for text in texts]
        for index, (argument, question) in enumerate(asked):
            yield self._ask("registered", sets[index % 4], "CT", question, calls=f"<VISTA3D({argument})>")
        alone = [(argument, text) for argument, texts in data["VISTA3D_alone"].items() for text in texts]
        for index, (argument, question) in enumerate(alone):
            cards = ((VISTA3D,), (VISTA3D, CXR))[index % 2]
            yield self._ask("registered", cards, "CT", question, calls=f"<VISTA3D({argument})>")

    def _no_expert(self, data: Mapping[str, Any]) -> Iterator[Case]:
        tissue = create_ct_tissue().card
        for question in data["CT"]:
            yield self._ask("no expert", (tissue,), "CT", question)
            yield self._ask("no expert", (BRATS, VISTA3D, CXR, tissue), "CT", question)
        for question in data["CT_TISSUE_only"]:
            yield self._ask("no expert", (tissue,), "CT", question)
        for question in data["no_cards"]:
            yield self._ask("no expert", (), "CT", question)
        for modality, questions in data["other_modality"].items():
            for question in questions:
                yield self._ask("no expert", (tissue,), modality, question)

    def _unseen(self, entries: Sequence[Mapping[str, Any]]) -> Iterator[Case]:
        cards = [_card(entry) for entry in entries]
        for index, (card, entry) in enumerate(zip(cards, entries, strict=True)):
            beside = cards[(index + 3) % len(cards)]
            modality = {"chest x-ray (CXR)": "CXR"}.get(card.modality, card.modality)
            for argument, questions in entry["asks"].items():
                for number, question in enumerate(questions):
                    offered = (card,) if (number + index) % 2 else (card, beside)
                    yield self._ask("unseen", offered, modality, question, calls=f"<{card.name}({argument})>")

    def _results(self, data: Mapping[str, Any]) -> Iterator[Case]:
        tissue = create_ct_tissue().card
        for entry in data["results"]:
            cards = (tissue,) if "TISSUE" in entry["call"] else (VISTA3D,)
            turns = self._told(entry)
            yield Case("results", cards, "CT", turns, needs=(*entry["names"], *entry["numbers"]))
        lungs = self._told(data["results"][0])
        answer = "The expert segmented the left lung (2104 mL) and the right lung (2510 mL)."
        for entry in data["follow_ups"]:
            asked = (*lungs, Message("assistant", answer), Message("user", entry["question"]))
            yield Case("follow-ups", (tissue,), "CT", asked, needs=(*entry["names"], *entry["numbers"]))

    def _told(self, entry: Mapping[str, Any]) -> tuple[Message, ...]:
        question = entry["question"]
        reply = Message("assistant", f"This looks like a CT image. Let me trigger <{entry['call']}>.")
        if "failed" in entry:
            told = Message("expert", wording.expert_failed(entry["failed"]) + wording.use_result(question))
        else:
            sizes = entry.get("segments")
            names = [name for name, _ in sizes] if sizes is not None else entry["unsized"]
            colours = ("red", "blue", "yellow", "magenta", "green")
            legend = list(zip(colours, names, strict=False))
            text = segmentation(legend, names, sizes).text + wording.use_result(question)
            told = Message("expert", text, (self.pictures["CT"],))
        return (Message("user", question, (self.pictures["CT"],)), reply, told)

    def _cannot_judge(self, questions: Sequence[str]) -> Iterator[Case]:
        tissue = create_ct_tissue().card
        for question in questions:
            yield self._ask("cannot judge", (tissue,), "CT", question, needs_one_of=CANNOT)


@cache
def withheld_questions() -> frozenset[str]:
    """Every question of both files as :func:`bare` gives it: none of them may be trained on."""
    questions: set[str] = set()
    for file in ("held_out.json", "development.json"):
        cases = HeldOut(dict.fromkeys(PICTURED, b""), file).cases()
        questions.update(bare(turn.text) for case in cases for turn in case.turns if turn.role == "user")
    return frozenset(questions)


def bare(question: str) -> str:
    """A question without capitals and punctuation."""
    return " ".join(re.sub(r"[^a-z0-9 ]", " ", question.lower()).split())


def _card(entry: Mapping[str, Any]) -> ModelCard:
    named = {key: entry[key] for key in ("name", "modality", "task", "overview", "accuracy")}
    return ModelCard(**named, arguments=tuple(entry["arguments"]))
