"""Which side of the patient lies at each edge of a slice view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from VILAM3SlicerLib.scene.geometry import Affine

_TOWARDS, _AWAY = "RAS", "LPI"
_OBLIQUE = 0.35
"""Sine of about 20 degrees: a direction that leans more than this towards a second side names it too."""


@dataclass(frozen=True)
class PatientSides:
    """Letters as in DICOM (R, L, A, P, S, I) at the edges of the screen, the main one first: ``"LA"``."""

    left: str
    right: str
    top: str
    bottom: str


def patient_sides(slice_to_world: Affine) -> PatientSides:
    """The sides of a slice view.

    Args:
        slice_to_world: 4x4, from the view's plane (x towards the right of the screen, y towards its top) to
            world RAS, as ``vtkMRMLSliceNode.GetSliceToRAS``.
    """
    rightwards, upwards = slice_to_world[:3, 0], slice_to_world[:3, 1]
    return PatientSides(
        left=_side(-rightwards), right=_side(rightwards), top=_side(upwards), bottom=_side(-upwards)
    )


def _side(direction: npt.NDArray[np.float64]) -> str:
    unit = direction / np.linalg.norm(direction)
    axes = sorted(range(3), key=lambda axis: -abs(unit[axis]))
    named = [axis for place, axis in enumerate(axes) if place == 0 or abs(unit[axis]) > _OBLIQUE]
    return "".join((_TOWARDS if unit[axis] > 0 else _AWAY)[axis] for axis in named)
