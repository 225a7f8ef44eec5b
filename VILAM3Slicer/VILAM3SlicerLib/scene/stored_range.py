"""What a radiograph's file could have held, kept with its volume node; nothing else of the header is.

Slicer's and SimpleITK's DICOM readers (both ITK's GDCM) turn MONOCHROME1 into MONOCHROME2 within the bits
stored, so that in a volume node the higher value is always the brighter one. How many bits those were is not
in the node, and the chest X-ray models are scaled by it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from VILAM3SlicerLib.protocol.messages import StoredRange

_ATTRIBUTE = "VILAM3.StoredRange"
_INSTANCES = "DICOM.instanceUIDs"
"""Where Slicer's DICOM import writes which files a volume came from."""

ReadTag = Callable[[str], str]
"""Takes a DICOM tag such as ``0028,0101`` and returns its value as text, empty where there is none."""

BITS_STORED, IS_SIGNED, SLOPE, INTERCEPT = "0028,0101", "0028,0103", "0028,1053", "0028,1052"
_MOST_BITS = 32


def range_of_tags(read_tag: ReadTag) -> StoredRange | None:
    """The range that DICOM's bits stored, sign and rescaling say; None where they say nothing usable."""
    bits, signed = _number(read_tag(BITS_STORED)), _number(read_tag(IS_SIGNED)) or 0.0
    if bits is None or not 1 <= bits <= _MOST_BITS:
        return None
    slope, intercept = _number(read_tag(SLOPE)), _number(read_tag(INTERCEPT))
    lowest = -(2 ** (int(bits) - 1)) if signed else 0
    ends = (lowest, lowest + 2 ** int(bits) - 1)
    low, high = sorted((1.0 if slope is None else slope) * end + (intercept or 0.0) for end in ends)
    return (low, high) if low < high else None


def tell_stored_range(node: Any, stored: StoredRange | None) -> None:
    """Keep the range with a volume node; it is saved with the scene."""
    node.SetAttribute(_ATTRIBUTE, f"{stored[0]!r} {stored[1]!r}" if stored is not None else None)


def tell_from_database(node: Any, instance_value: Callable[[str, str], str]) -> None:
    """Keep what a DICOM database knows of a volume node that was loaded from a single file there.

    Args:
        instance_value: takes a SOP instance UID and a tag, as ``slicer.dicomDatabase.instanceValue`` does.
    """
    uids = (node.GetAttribute(_INSTANCES) or "").split()
    if len(uids) == 1 and stored_range(node) is None:
        tell_stored_range(node, range_of_tags(lambda tag: instance_value(uids[0], tag)))


def stored_range(node: Any) -> StoredRange | None:
    """What was told of a volume node, None where nothing was."""
    numbers = [_number(word) for word in (node.GetAttribute(_ATTRIBUTE) or "").split()]
    if len(numbers) != 2 or numbers[0] is None or numbers[1] is None or not numbers[0] < numbers[1]:
        return None
    return numbers[0], numbers[1]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
