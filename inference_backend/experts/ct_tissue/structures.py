"""What the CT tissue expert names: its label values, segments and arguments."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from inference_backend.experts.interface import Segment
from VILAM3SlicerLib.protocol.errors import InvalidRequest


class Tissue(IntEnum):
    """Values in the labelmap; they do not overlap."""

    LEFT_LUNG = 1
    RIGHT_LUNG = 2
    AIRWAYS = 3
    BONE = 4
    HEART_AND_VESSELS = 5
    SKIN = 6
    SUBCUTANEOUS_FAT = 7
    MUSCLE = 8
    OTHER_BODY = 9
    """What is in the body and in no other structure of the result."""


_NAMES = {
    Tissue.LEFT_LUNG: ("left lung", "left lung"),
    Tissue.RIGHT_LUNG: ("right lung", "right lung"),
    Tissue.AIRWAYS: ("trachea and airways", "trachea"),
    Tissue.BONE: ("bone", "bone"),
    Tissue.HEART_AND_VESSELS: ("heart and vessels", ""),
    Tissue.SKIN: ("skin", "skin"),
    Tissue.SUBCUTANEOUS_FAT: ("subcutaneous fat", "fat"),
    Tissue.MUSCLE: ("muscle", "muscle"),
}
"""Name and Slicer terminology label; the terminology has no entry for heart and vessels together."""


ARGUMENTS: dict[str, tuple[Tissue, ...]] = {
    "everything": tuple(Tissue),
    "lungs": (Tissue.LEFT_LUNG, Tissue.RIGHT_LUNG),
    "left lung": (Tissue.LEFT_LUNG,),
    "right lung": (Tissue.RIGHT_LUNG,),
    "airways": (Tissue.AIRWAYS,),
    "bone": (Tissue.BONE,),
    "heart and vessels": (Tissue.HEART_AND_VESSELS,),
    "skin": (Tissue.SKIN,),
    "fat": (Tissue.SUBCUTANEOUS_FAT,),
    "muscle": (Tissue.MUSCLE,),
    "body": (Tissue.OTHER_BODY,),
}
"""The tissues that each argument asks for, in the order in which they are told."""


def tissues_asked_for(argument: str) -> tuple[Tissue, ...]:
    """The tissues of an argument in whatever case; an empty one asks for everything.

    Raises:
        InvalidRequest: it is none of the card's.
    """
    tissues = ARGUMENTS.get(" ".join(argument.lower().split()) or "everything")
    if tissues is None:
        raise InvalidRequest(
            f"CT_TISSUE has no argument '{argument}'.", f"Valid arguments are: {', '.join(ARGUMENTS)}."
        )
    return tissues


def segments_of(tissues: Sequence[Tissue]) -> tuple[Segment, ...]:
    """The segments of a result with these tissues; the body is the union of all of them."""
    segments = [
        Segment(_NAMES[tissue][0], (int(tissue),), _NAMES[tissue][1])
        for tissue in tissues
        if tissue in _NAMES
    ]
    if Tissue.OTHER_BODY in tissues:
        segments.append(Segment("body", tuple(int(tissue) for tissue in tissues), "tissue"))
    return tuple(segments)
