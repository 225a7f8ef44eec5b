"""Made-up results of experts, worded to the model as the product words them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from inference_backend.conversation import wording
from inference_backend.demo_model.training import replies
from inference_backend.demo_model.training.scenes import Request
from inference_backend.demo_model.training.vocabulary import pick

COLOURS = (
    "red", "blue", "yellow", "magenta", "green", "indigo", "darkorange", "cyan", "pink", "brown", "orange",
    "lime",
)  # fmt: skip
"""In the published order."""

TISSUES = {
    "left lung": (900, 3500), "right lung": (1000, 4000), "trachea and airways": (20, 90),
    "bone": (300, 3500),
    "heart and vessels": (150, 1500), "skin": (200, 1500), "subcutaneous fat": (500, 15000),
    "muscle": (2000, 20000), "body": (8000, 80000),
}  # fmt: skip
"""Segments of CT_TISSUE and the volumes in mL that they may have."""

_TISSUES_OF = {
    "everything": tuple(TISSUES), "lungs": ("left lung", "right lung"), "airways": ("trachea and airways",),
    "fat": ("subcutaneous fat",),
}  # fmt: skip
_ORGANS_OF = {
    "organs": (
        "liver",
        "spleen",
        "pancreas",
        "right kidney",
        "left kidney",
        "gallbladder",
        "bladder",
        "prostate",
    ),
    "cardiovascular": ("heart", "aorta", "inferior vena cava", "pulmonary vein", "left iliac artery"),
    "gastrointestinal": ("stomach", "colon", "small bowel", "duodenum", "esophagus", "rectum"),
    "skeleton": ("sternum", "left hip", "right hip", "sacrum", "vertebrae L1", "vertebrae T12", "left rib 5"),
    "muscles": ("left gluteus maximus", "right gluteus maximus", "left iliopsoas", "right autochthon"),
}
FINDINGS = (
    "atelectasis", "cardiomegaly", "consolidation", "edema", "effusion", "emphysema",
    "enlarged cardiomediastinum",
    "fibrosis", "fracture", "hernia", "infiltration", "lung lesion", "lung opacity", "mass", "nodule",
    "pleural thickening", "pneumonia", "pneumothorax",
)  # fmt: skip
FAILURES = (
    "The scan has no lungs in view.", "The volume is not a CT.", "The expert was stopped.",
    "There is not enough memory.", "The argument 'liver' is unknown.", "The expert took too long.",
    "This expert needs four MRI sequences.", "The worker process died.", "The volume is empty.",
    "The weights are missing.", "Only one slice was given.", "The arguments were not understood.",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """What an expert returned.

    Attributes:
        text: what the model is told, without the instruction to use it.
        has_overlay: an image goes with it.
        segments, colours, sizes: names; colours of those in the image; volumes in mL as worded.
        findings: present or not, by name.
    """

    text: str
    has_overlay: bool
    segments: tuple[str, ...] = ()
    colours: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, str] = field(default_factory=dict)
    findings: Mapping[str, bool] = field(default_factory=dict)


def draw_result(random: np.random.Generator, request: Request) -> Result:
    """A result that the expert of a request might return."""
    if request.expert == "CXR":
        return _draw_findings(random)
    if request.expert == "BRATS":
        return _brain_tumor(random)
    if random.random() < 0.15:
        return segmentation((), (), () if request.expert == "CT_TISSUE" else None)
    if request.expert == "CT_TISSUE":
        return _draw_tissues(random, request.argument)
    names = _some(random, _names(request))
    sized = request.expert != "VISTA3D" and random.random() < 0.5
    volumes = [(name, float(np.exp(random.uniform(0.5, 8)))) for name in names] if sized else None
    return segmentation(_coloured(names), names, volumes)


def segmentation(
    legend: Sequence[tuple[str, str]], names: Sequence[str], volumes: Sequence[tuple[str, float]] | None
) -> Result:
    """A segmentation; ``legend`` is (colour, name) of what is in the image, ``volumes`` (name, mL)."""
    told = "" if volumes is None else wording.segment_sizes(volumes)
    return Result(
        text=wording.segmentation_result(legend) + told,
        has_overlay=True,
        segments=tuple(names),
        colours={name: colour for colour, name in legend},
        sizes=dict(re.findall(r"(?:are |, )([^:]+): (\S+) mL", told)),
    )


def answer(question: str, result: Result, wants_size: bool) -> str:
    """What the model should say to a result."""
    if result.findings:
        asked = next((name for name in FINDINGS if name in question.lower()), None)
        if asked is None:
            return replies.findings([name for name, present in result.findings.items() if present])
        return replies.finding(asked, result.findings[asked])
    return (replies.measures if wants_size else replies.segments)(result.segments, result.sizes)


def _draw_tissues(random: np.random.Generator, argument: str) -> Result:
    names = _TISSUES_OF.get(argument, (argument,))
    if argument == "everything":
        names = tuple(name for name in names if random.random() < 0.85)
    volumes = [(name, _volume(random, name)) for name in names]
    shown = [name for name in names if random.random() < 0.9]
    return segmentation(_coloured(shown), names, volumes)


def _volume(random: np.random.Generator, name: str) -> float:
    low, high = TISSUES[name]
    spread = random.uniform(low, high) if random.random() < 0.85 else np.exp(random.uniform(-1, np.log(high)))
    return float(spread)


def _names(request: Request) -> tuple[str, ...]:
    if request.expert == "VISTA3D":
        groups = _ORGANS_OF["organs"] + _ORGANS_OF["cardiovascular"] + _ORGANS_OF["skeleton"]
        return (
            groups
            if request.argument == "everything"
            else _ORGANS_OF.get(request.argument, (request.argument,))
        )
    return (request.argument or request.words.removeprefix("the "),)


def _some(random: np.random.Generator, names: tuple[str, ...]) -> tuple[str, ...]:
    count = int(random.integers(1, min(len(names), 5) + 1))
    return tuple(names[index] for index in sorted(random.permutation(len(names))[:count]))


def _coloured(names: Sequence[str]) -> list[tuple[str, str]]:
    return [(COLOURS[index % len(COLOURS)], name) for index, name in enumerate(names)]


def _draw_findings(random: np.random.Generator) -> Result:
    frequency = pick_number(random, (0.0, 0.1, 0.2, 0.4))
    present = {name: bool(random.random() < frequency) for name in FINDINGS}
    lines = "\n".join(f"{name}: {'yes' if there else 'no'}" for name, there in present.items())
    return Result(f"The resulting predictions are:\n{lines}\n.", has_overlay=False, findings=present)


def _brain_tumor(random: np.random.Generator) -> Result:
    core, _edema, enhancing = COLOURS[:3]
    parts = {
        "tumor core": f"{core} and {enhancing}: tumor core, ",
        "enhancing tumor": f"only {enhancing}: enhancing tumor, ",
        "whole tumor": "all colors: whole tumor\n",
    }
    names = tuple(parts) if random.random() < 0.6 else tuple(parts)[1:]
    legend = "".join(parts[name] for name in names)
    text = f"The results are {wording.IMAGE}. The colors in this image describe\n{legend}"
    return Result(text, has_overlay=True, segments=names)


def pick_number(random: np.random.Generator, choices: Sequence[float]) -> float:
    """One of the numbers."""
    return float(choices[int(random.integers(len(choices)))])


def draw_failure(random: np.random.Generator) -> str:
    """Why an expert might fail."""
    return pick(random, FAILURES)
