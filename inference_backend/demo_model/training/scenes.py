"""What a made-up conversation is about: an image, the experts offered for it, and how to ask for each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from inference_backend.conversation.model_cards import BRATS, CXR, VISTA2D, VISTA3D, ModelCard
from inference_backend.demo_model.training import vocabulary
from inference_backend.demo_model.training.vocabulary import pick
from inference_backend.experts.ct_tissue import create as create_ct_tissue

DATA = Path(__file__).parent / "data"

_TISSUE_OVERVIEWS = (
    "classical segmentation of tissues by thresholds, connectivity and shape, without a trained network",
    "segments lungs, airways, bone, contrast-filled vessels and heart, skin, fat and muscle",
    "lungs, airways, bone, vessels, fat and muscle by HU thresholds and shape; no trained weights",
    "tissue segmentation of CT scans with classical image processing",
)
_TISSUE_ACCURACY = (
    "Dice 0.97 for the lungs, 0.8 for bone", "good for lungs and bone, rough for muscle", "lungs: 0.98 Dice",
    "not a trained model; lungs 0.97 Dice on one scan",
)  # fmt: skip

CELLS = "cell imaging"
NO_PICTURE = b"noise"
"""Key of an image of noise, for modalities of which no picture is at hand; the prompt names them."""

Words = Mapping[str, Sequence[str]]


@cache
def phrasings() -> Mapping[str, Any]:
    """The wordings of the training data."""
    loaded: Mapping[str, Any] = json.loads((DATA / "phrasings.json").read_text(encoding="utf-8"))
    return loaded


@dataclass(frozen=True)
class Request:
    """Something to ask an expert for: the words of the person, the expert, the argument (may be empty)."""

    words: str
    expert: str
    argument: str
    task: str

    @property
    def call(self) -> str:
        """The trigger."""
        return f"<{self.expert}({self.argument})>"


@dataclass(frozen=True)
class OfferedExpert:
    """A card and, for each argument, what people say who want it; the argument is empty if it takes none."""

    card: ModelCard
    words: Words

    def requests(self) -> list[Request]:
        """Every way to ask for each of its arguments."""
        return [
            Request(phrase, self.card.name, argument, self.card.task)
            for argument, phrases in self.words.items()
            for phrase in phrases
        ]


@dataclass(frozen=True)
class Scene:
    """An image and the experts that are offered.

    Attributes:
        image: key in the pool of image features; None for a question without image.
        modality: of the image: CT, MRI, CXR or cell imaging; empty where there is no image.
        named_modality: what the prompt says of it, may be nothing.
        plane, region: what the image shows; empty where there is none.
    """

    experts: tuple[OfferedExpert, ...]
    modality: str
    named_modality: str
    image: bytes | None
    plane: str = ""
    region: str = ""

    @property
    def cards(self) -> tuple[ModelCard, ...]:
        return tuple(expert.card for expert in self.experts)

    def draw_request(self, random: np.random.Generator) -> Request | None:
        """Something that an expert offered here can do on this image.

        Experts are drawn evenly, arguments the more often the more ways there are to ask for them.
        """
        fitting = [expert for expert in self.experts if fits(expert.card, self.modality)]
        if not fitting:
            return None
        expert = fitting[int(random.integers(len(fitting)))]
        weights = np.sqrt([len(phrases) for phrases in expert.words.values()])
        argument = list(expert.words)[int(random.choice(len(weights), p=weights / weights.sum()))]
        return Request(
            pick(random, list(expert.words[argument])), expert.card.name, argument, expert.card.task
        )


_CARD_MODALITY = {"CXR": "chest x-ray (CXR)", "US": "ultrasound"}


def fits(card: ModelCard, modality: str) -> bool:
    """Whether an expert works on images of a modality; where that is unknown (empty) it may."""
    return not modality or card.modality == _CARD_MODALITY.get(modality, modality)


def tissue_expert(card: ModelCard, beside_vista: bool) -> OfferedExpert:
    """CT_TISSUE; beside VISTA3D some words mean the other's arguments."""
    always, otherwise = phrasings()["tissue"], phrasings()["tissue_without_vista"]
    return OfferedExpert(card, _merged(always, {} if beside_vista else otherwise))


def vista_expert(beside_tissue: bool) -> OfferedExpert:
    """VISTA3D; without CT_TISSUE it is also asked for what that would do better."""
    always, otherwise = phrasings()["vista"], phrasings()["vista_without_tissue"]
    return OfferedExpert(VISTA3D, _merged(always, {} if beside_tissue else otherwise))


def _merged(first: Words, second: Words) -> Words:
    return {
        argument: [*first.get(argument, ()), *second.get(argument, ())] for argument in {**first, **second}
    }


def other_published_experts() -> list[OfferedExpert]:
    """BRATS, VISTA2D and CXR, none of which takes an argument."""
    words = phrasings()
    return [
        OfferedExpert(BRATS, {"": words["brats"]}),
        OfferedExpert(VISTA2D, {"": words["cells"]}),
        OfferedExpert(CXR, {"": words["findings"]}),
    ]


def tissue_card(random: np.random.Generator) -> ModelCard:
    """The card of CT_TISSUE, half of the time in another wording, so that it may change later."""
    card = create_ct_tissue().card
    if random.random() < 0.5:
        return card
    return ModelCard(
        "CT_TISSUE", "CT", "segmentation", pick(random, _TISSUE_OVERVIEWS), pick(random, _TISSUE_ACCURACY),
        card.arguments,
    )  # fmt: skip


def unknown_expert(random: np.random.Generator, modality: str) -> OfferedExpert:
    """An expert that nobody has heard of."""
    count = int(random.integers(0, 6))
    arguments = tuple(dict.fromkeys(vocabulary.argument(random) for _ in range(count)))
    what = ", ".join(arguments) if arguments and random.random() < 0.3 else vocabulary.argument(random)
    task = pick(random, vocabulary.TASKS)
    card = ModelCard(
        name=vocabulary.expert_name(random),
        modality=modality,
        task=task,
        overview=vocabulary.overview(random, what, modality, task),
        accuracy=vocabulary.accuracy(random),
        arguments=arguments,
    )
    spoken = {argument: (argument, f"the {argument}") for argument in arguments} or {
        "": (what, f"the {what}")
    }
    return OfferedExpert(card, spoken)


def draw_scene(random: np.random.Generator, images: Sequence[Scene]) -> Scene:
    """A scene with one of the ``images`` (scenes without experts) or none, and experts offered for it."""
    scene = _draw_view(random, images)
    return replace(scene, experts=_draw_experts(random, scene.modality))


def with_another_view(scene: Scene, random: np.random.Generator, images: Sequence[Scene]) -> Scene:
    """Another image with the same experts: which of them fits depends on it."""
    return replace(_draw_view(random, images), experts=scene.experts)


def _draw_view(random: np.random.Generator, images: Sequence[Scene]) -> Scene:
    if random.random() < 0.04:
        return Scene((), "", "", None)
    modality = pick(random, ("CT", "CT", "CT", "CT", "MRI", "MRI", "CXR", "CXR", CELLS))
    shown = [image for image in images if image.modality == modality]
    scene = shown[int(random.integers(len(shown)))] if shown else Scene((), CELLS, CELLS, NO_PICTURE)
    is_named = modality == CELLS or random.random() > 0.05
    return scene if is_named else replace(scene, named_modality="")


def _draw_experts(random: np.random.Generator, modality: str) -> tuple[OfferedExpert, ...]:
    kind = random.random()
    if kind < 0.05:
        return ()
    if kind < 0.17:
        return (tissue_expert(tissue_card(random), beside_vista=False),)
    if kind < 0.74:
        return _registered(random, modality)
    unknown = _unknown_experts(random, modality)
    if kind < 0.8:
        mixed = [*unknown[:2], *_registered(random, modality)[:1]]
        return tuple(mixed[index] for index in random.permutation(len(mixed)))
    return tuple(unknown)


def _registered(random: np.random.Generator, modality: str) -> tuple[OfferedExpert, ...]:
    """Some of the published experts and CT_TISSUE, in the order of the product, often one that fits."""
    with_tissue, with_vista = random.random() < 0.55, random.random() < 0.75
    experts = [
        expert
        for expert in other_published_experts()
        if random.random() < (0.75 if fits(expert.card, modality) else 0.45)
    ]
    if with_vista:
        after_brats = int(bool(experts) and experts[0].card is BRATS)
        experts.insert(after_brats, vista_expert(with_tissue))
    if with_tissue:
        experts.append(tissue_expert(tissue_card(random), with_vista))
    return tuple(experts)


def _unknown_experts(random: np.random.Generator, modality: str) -> list[OfferedExpert]:
    count = (1, 1, 2, 2, 2, 3, 3, 4)[int(random.integers(8))]
    here = _CARD_MODALITY.get(modality, modality or "CT")
    modalities = [
        here if random.random() < 0.6 else pick(random, vocabulary.MODALITIES) for _ in range(count)
    ]
    experts = [unknown_expert(random, each) for each in modalities]
    return _without_doubles(experts)


def _without_doubles(experts: Sequence[OfferedExpert]) -> list[OfferedExpert]:
    """Drop experts that take what an earlier one of the same modality takes: nobody could choose."""
    kept: list[OfferedExpert] = []
    for expert in experts:
        phrases = {phrase for phrases in expert.words.values() for phrase in phrases}
        taken = {phrase for other in kept for phrases in other.words.values() for phrase in phrases}
        if not phrases & taken:
            kept.append(expert)
    return kept
