"""The structures that VISTA3D names: label values, the published groups, and what an argument asks for.

The groups are those of the published system (Project-MONAI/VLM-Radiology-Agent-Framework @ fc8c5a7); their
names stand in the legends that the released checkpoints were trained to read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from inference_backend.conversation.model_cards import VISTA3D
from inference_backend.experts.interface import Segment
from VILAM3SlicerLib.protocol.errors import InvalidRequest

EVERYTHING = "everything"

_GROUPS: dict[str, dict[str, int]] = {
    name: labels
    for name, labels in json.loads(Path(__file__).with_name("label_groups.json").read_text()).items()
    if name != EVERYTHING  # the bundle itself says what everything is
}

NAMES: dict[int, str] = {label: name for labels in _GROUPS.values() for name, label in labels.items()}
"""Each label value's only name."""

_PLURALS = {"lungs": 20, "kidneys": 2, "bones": 21}
"""Words for several structures that the network is prompted with as one."""

_TERMINOLOGY = {
    "left atrial appendage": "heart",
    "bladder": "urinary bladder",
    "left lung upper lobe": "superior lobe of left lung",
    "left lung lower lobe": "inferior lobe of left lung",
    "right lung upper lobe": "superior lobe of right lung",
    "right lung middle lobe": "middle lobe of right lung",
    "right lung lower lobe": "inferior lobe of right lung",
    "left clavicula": "left clavicle",
    "right clavicula": "right clavicle",
    "costal cartilages": "cartilage",
    "airway": "trachea",
}
_SAME_IN_TERMINOLOGY = (
    "liver", "spleen", "pancreas", "right kidney", "left kidney", "right adrenal gland", "left adrenal gland",
    "gallbladder", "esophagus", "stomach", "duodenum", "small bowel", "colon", "prostate", "thyroid gland",
    "aorta", "heart", "trachea", "brain", "spinal cord", "skull", "sternum", "bone",
)  # fmt: skip
_TERMINOLOGY_BY_WORD = {
    "tumor": "mass",
    "primaries": "mass",
    "lesion": "mass",
    "cyst": "cyst",
    "artery": "artery",
    "trunk": "artery",
    "vein": "vein",
    "vena": "vein",
    "vertebrae": "bone",
    "rib": "bone",
    "humerus": "bone",
    "scapula": "bone",
    "femur": "bone",
    "hip": "bone",
    "sacrum": "bone",
    "gluteus": "muscle",
    "autochthon": "muscle",
    "iliopsoas": "muscle",
}
"""Slicer's list has no single ribs, vertebrae, muscles or vessels: these get the kind of tissue."""


@dataclass(frozen=True)
class Wanted:
    """What an argument asks for.

    Attributes:
        prompts: label values, None for everything.
        is_named: structures were asked for by name, not by group, so one that is absent is told as empty.
        marked: the structure that points belong to, None where the argument names none or several.
    """

    prompts: tuple[int, ...] | None
    is_named: bool = False
    marked: int | None = None


def structures_asked_for(argument: str) -> Wanted:
    """Understand an argument: a published group, a structure's name, or several names with commas.

    Raises:
        InvalidRequest: neither; the hint lists the groups.
    """
    words = _plain(argument)
    if words in ("", EVERYTHING):
        return Wanted(None)
    by_name = {name.lower(): label for label, name in NAMES.items()} | _PLURALS
    if words in _GROUPS:
        return Wanted(_unique(_GROUPS[words].values()), marked=by_name.get(words))
    parts = [_plain(part) for part in words.split(",")]
    unknown = [part for part in parts if part not in by_name]
    if unknown:
        raise InvalidRequest(
            f"VISTA3D knows no structure '{unknown[0]}'.",
            f"Valid arguments are: {', '.join(VISTA3D.arguments)}, or the name of one structure.",
        )
    labels = _unique(by_name[part] for part in parts)
    return Wanted(labels, is_named=True, marked=labels[0] if len(labels) == 1 else None)


def segments_of(labels: Sequence[int]) -> tuple[Segment, ...]:
    """A segment for each label value that has a name."""
    return tuple(
        Segment(NAMES[label], (label,), terminology_of(NAMES[label])) for label in labels if label in NAMES
    )


def terminology_of(name: str) -> str:
    """The structure's label in Slicer's "3D Slicer General Anatomy list", empty where there is none."""
    if name in _SAME_IN_TERMINOLOGY:
        return name
    if name in _TERMINOLOGY:
        return _TERMINOLOGY[name]
    return next((_TERMINOLOGY_BY_WORD[word] for word in name.split() if word in _TERMINOLOGY_BY_WORD), "")


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _unique(labels: Iterable[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(labels))
