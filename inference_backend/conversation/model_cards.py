"""The list of experts that stands in front of a question.

The released checkpoints were trained on the exact text of the published cards, so the wording and the
order below are interface constants (Project-MONAI/VLM-Radiology-Agent-Framework @ fc8c5a7).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HEADER = "Here is a list of available expert models:\n"
FOOTER = "Give the model <NAME(args)> when selecting a suitable expert model.\n"


@dataclass(frozen=True)
class ModelCard:
    """What the language model is told of one expert.

    ``arguments`` are the exact strings that the expert accepts; none means that it takes no argument.
    """

    name: str
    modality: str
    task: str
    overview: str
    accuracy: str
    arguments: tuple[str, ...] = ()

    def line(self) -> str:
        """The card as one line of the prompt, newline included."""
        return (
            f"<{self.name}(args)> Modality: {self.modality}, Task: {self.task}, "
            f"Overview: {self.overview}, Accuracy: {self.accuracy}, "
            f"Valid args are: {_enumerate_arguments(self.arguments)}\n"
        )


def _enumerate_arguments(arguments: Sequence[str]) -> str:
    quoted = [f"'{argument}'" for argument in arguments]
    if len(quoted) < 3:
        return " or ".join(quoted) or "None"
    return ", ".join(quoted[:-1]) + f", or {quoted[-1]}"


def compose_cards(cards: Sequence[ModelCard]) -> str:
    """The whole list, published experts first in the published order, then the others as registered.

    Returns an empty string where no expert can run: the model is then offered none.
    """
    if not cards:
        return ""
    published = [card.name for card in PUBLISHED_CARDS]
    ordered = sorted(cards, key=lambda card: _rank(card.name, published))
    return HEADER + "".join(card.line() for card in ordered) + FOOTER


def _rank(name: str, published: Sequence[str]) -> int:
    return published.index(name) if name in published else len(published)


BRATS = ModelCard(
    name="BRATS",
    modality="MRI",
    task="segmentation",
    overview=(
        "A pre-trained model for volumetric (3D) segmentation of brain tumor subregions from "
        "multimodal MRIs based on BraTS 2018 data"
    ),
    accuracy=(
        "Tumor core (TC): 0.8559 - Whole tumor (WT): 0.9026 - Enhancing tumor (ET): 0.7905 - Average: 0.8518"
    ),
)

VISTA3D = ModelCard(
    name="VISTA3D",
    modality="CT",
    task="segmentation",
    overview=(
        "domain-specialized interactive foundation model developed for segmenting and annotating "
        "human anatomies with precision"
    ),
    accuracy="127 organs: 0.792 Dice on average",
    arguments=(
        "everything",
        "hepatic tumor",
        "pancreatic tumor",
        "lung tumor",
        "bone lesion",
        "organs",
        "cardiovascular",
        "gastrointestinal",
        "skeleton",
        "muscles",
    ),
)

VISTA2D = ModelCard(
    name="VISTA2D",
    modality="cell imaging",
    task="segmentation",
    overview=(
        "model for cell segmentation, which was trained on a variety of cell imaging outputs, including "
        "brightfield, phase-contrast, fluorescence, confocal, or electron microscopy"
    ),
    accuracy="Good accuracy across several cell imaging datasets",
)

CXR = ModelCard(
    name="CXR",
    modality="chest x-ray (CXR)",
    task="classification",
    overview="pre-trained model which are trained on large cohorts of data",
    accuracy="Good accuracy across several diverse chest x-rays datasets",
)

PUBLISHED_CARDS = (BRATS, VISTA3D, VISTA2D, CXR)
"""The four cards of the published system, in its order."""
