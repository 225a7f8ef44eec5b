"""The sentences that go between the question, the experts and the model.

Those of the published system are interface constants of the released checkpoints
(Project-MONAI/VLM-Radiology-Agent-Framework @ fc8c5a7); ours follow their form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from VILAM3SlicerLib.protocol.messages import PromptLayout

IMAGE = "<image>"
"""Where an image stands in a text."""

MODALITIES = ("CT", "MRI", "CXR", "US", "cell imaging")
"""The modalities that the published system names to the model; any other is not named."""

_SEQUENCE_NAMES = {"T1c": "T1(contrast enhanced)"}


def modality_sentence(modality: str) -> str:
    """Name the kind of image, newline included; empty for a kind that the model does not know."""
    return f"This is a {modality} image.\n" if modality in MODALITIES else ""


def sequences_sentence(names: Sequence[str]) -> str:
    """Name the images of one MRI study, newline included; ``T1c`` is worded as published."""
    listed = ", ".join(f"{_SEQUENCE_NAMES.get(name, name)}: {IMAGE}" for name in names)
    return f"{listed} These are different MRI modalities.\n"


def segmentation_result(legend: Sequence[tuple[str, str]]) -> str:
    """Tell the model what an overlay shows: pairs of colour and structure, those in the image only."""
    described = ", ".join(f"{colour}: {structure}" for colour, structure in legend)
    return f"The results are {IMAGE}. The colors in this image describe {described}. "


def tumour_result(colours: Mapping[int, str]) -> str:
    """Tell the model what an overlay of a brain tumour shows: the colour of each BraTS label in the image."""
    parts = []
    if 1 in colours and 4 in colours:
        parts.append(f"{colours[1]} and {colours[4]}: tumor core, ")
    if 4 in colours:
        parts.append(f"only {colours[4]}: enhancing tumor, ")
    if colours:
        parts.append("all colors: whole tumor\n")
    return f"The results are {IMAGE}. The colors in this image describe\n" + "".join(parts)


def segment_sizes(sizes_ml: Sequence[tuple[str, float]]) -> str:
    """Tell the model how large whole segments are: pairs of structure and volume in mL (not published)."""
    listed = ", ".join(f"{name}: {_millilitres(volume)} mL" for name, volume in sizes_ml)
    return f"The sizes are {listed or 'none'}. "


def _millilitres(volume: float) -> str:
    return f"{volume:.0f}" if volume >= 10 else f"{volume:.1f}"


def classification_result(findings: Sequence[tuple[str, bool]]) -> str:
    """Tell the model what was found in a chest X-ray: pairs of a finding and whether it is there."""
    listed = "".join(f"{name}: {'yes' if present else 'no'}\n" for name, present in findings)
    return f"The resulting predictions are:\n{listed}."


def use_result(question: str, layout: PromptLayout = "published", is_classification: bool = False) -> str:
    """Ask the model to answer with an expert's result.

    In training the sentence ended with a full stop, and another one followed a list of findings; the demo
    has one for all.
    """
    if layout == "training" and is_classification:
        return (
            " Analyze the image and take these predictions into account when responding to this prompt:\n"
            f"{question}"
        )
    end = "." if layout == "training" else ""
    return f"\nUse this result to respond to this prompt:\n{question}{end}"


def expert_failed(reason: str) -> str:
    """Tell the model that an expert could not do its work."""
    return f"Sorry I met an error: {reason}"


def expert_not_offered(name: str, offered: Sequence[str]) -> str:
    """Tell the model that it called an expert which is not among its cards."""
    available = ", ".join(offered) or "none"
    return f"The expert {name} is not available. Available experts: {available}. "
