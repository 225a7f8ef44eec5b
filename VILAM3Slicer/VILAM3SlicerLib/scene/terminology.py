"""Codes and colours of anatomical names, from Slicer's own terminology."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import slicer

from VILAM3SlicerLib.protocol.events import Color

GENERAL_ANATOMY = "Segmentation category and type - 3D Slicer General Anatomy list"


@dataclass(frozen=True)
class Term:
    """An entry of a terminology: its serialised codes (a segment's tag) and the colour it recommends."""

    tag: str
    color: Color


class Terminology(Protocol):
    """Where names of structures are looked up."""

    def find(self, label: str) -> Term | None:
        """The entry with this label, None where there is none."""


class SlicerTerminology:
    """Slicer's "3D Slicer General Anatomy list" (SNOMED CT codes), looked up by its 3dSlicerLabel.

    Args:
        app_logic: the application logic; without a Terminologies module nothing is found.
    """

    def __init__(self, app_logic: Any) -> None:
        self._logic = app_logic.GetModuleLogic("Terminologies")

    def find(self, label: str) -> Term | None:
        """The entry with this label, None where there is none."""
        entry = slicer.vtkSlicerTerminologyEntry()
        if self._logic is None or not label:
            return None
        if not self._logic.FindTypeInTerminologyBy3dSlicerLabel(GENERAL_ANATOMY, label, entry):
            return None
        return Term(self._logic.SerializeTerminologyEntry(entry), _color(entry))


def _color(entry: Any) -> Color:
    """The modifier's colour (left, right) where there is one: the type has none then."""
    modifier = entry.GetTypeModifierObject()
    coded = modifier if modifier is not None and modifier.GetCodeValue() else entry.GetTypeObject()
    red, green, blue = coded.GetRecommendedDisplayRGBValue()
    return red / 255, green / 255, blue / 255
