"""The patient without table, cushions and cables."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from inference_backend.experts.ct_tissue import morphology
from inference_backend.experts.ct_tissue.working_grid import Hounsfield, Mask
from inference_backend.experts.hounsfield import AIR_HU
from VILAM3SlicerLib.protocol.errors import ExpertError

TISSUE_ABOVE_HU = -300
THINNER_THAN_MM = 10.0
"""Table shells, blankets and cables are thinner, limbs and trunk thicker."""
SMALLEST_PART_OF_LARGEST = 0.02
"""An arm beside the trunk is larger, a piece of cushion smaller."""

OUTER_AIR_BELOW_HU = -970
OUTER_AIR_IN_LUNG = 0.04
"""Most of the air around a patient is so dark, even with foam in it, and next to nothing of a lung."""


def find_body(hounsfield: Hounsfield, spacing: morphology.Spacing) -> Mask:
    """The body with all air inside it.

    Raises:
        ExpertError: nothing in the volume is as large as a body part.
    """
    tissue = hounsfield > TISSUE_ABOVE_HU
    core = _trunk_and_limbs(morphology.erode(tissue, THINNER_THAN_MM / 2, spacing))
    if not core.any():
        raise ExpertError("No body was found in the volume.", "Choose a CT that shows a body.")
    near_core = morphology.dilate(core, THINNER_THAN_MM / 2 + 2 * max(spacing), spacing)
    return _filled(tissue & near_core, hounsfield, spacing)


def _filled(tissue: Mask, hounsfield: Hounsfield, spacing: morphology.Spacing) -> Mask:
    """Fill the holes of each axial slice, and the lungs that the edge of the field of view cuts open."""
    field, edge = _field_of_view(hounsfield, spacing)
    pieces, count = morphology.label_slices(~tissue & field)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    inside = np.bincount(pieces[edge], minlength=count + 1) == 0
    outer_air = np.bincount(pieces.ravel(), (hounsfield < OUTER_AIR_BELOW_HU).ravel(), minlength=count + 1)
    inside |= outer_air < OUTER_AIR_IN_LUNG * sizes
    inside[0] = False
    filled: Mask = tissue | inside[pieces]
    return filled


def _field_of_view(hounsfield: Hounsfield, spacing: morphology.Spacing) -> tuple[Mask, Mask]:
    """What was imaged, and its outermost voxels in each axial slice: the whole slice, or the circle in it.

    A scanner images a circle; what a slice has beyond it is padding.
    """
    across, deep = (np.arange(size) - (size - 1) / 2 for size in hounsfield.shape[:2])
    radius = min(size * mm for size, mm in zip(hounsfield.shape[:2], spacing, strict=False)) / 2
    from_centre = np.hypot(*np.meshgrid(across * spacing[0], deep * spacing[1], indexing="ij"))
    rim = 1.5 * max(spacing[:2])
    circle = from_centre <= radius - rim
    beyond = hounsfield[from_centre > radius + rim]
    if not beyond.size or (beyond > AIR_HU).any():
        circle = np.ones_like(circle)
    edge = circle & ~ndimage.binary_erosion(circle, np.ones((3, 3)))
    field, its_edge = (np.broadcast_to(plane[:, :, None], hounsfield.shape) for plane in (circle, edge))
    return field, its_edge


def _trunk_and_limbs(core: Mask) -> Mask:
    components, count = ndimage.label(core)
    if not count:
        return core
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    kept: Mask = (sizes >= SMALLEST_PART_OF_LARGEST * sizes.max())[components]
    return kept & core
