"""The patient without table, cushions and cables."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from inference_backend.experts.ct_tissue import morphology
from inference_backend.experts.ct_tissue.working_grid import Hounsfield, Mask
from VILAM3SlicerLib.protocol.errors import ExpertError

TISSUE_ABOVE_HU = -300
THINNER_THAN_MM = 10.0
"""Table shells, blankets and cables are thinner, limbs and trunk thicker."""
SMALLEST_PART_OF_LARGEST = 0.02
"""An arm beside the trunk is larger, a piece of cushion smaller."""


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
    return morphology.fill_slices(tissue & near_core)


def _trunk_and_limbs(core: Mask) -> Mask:
    components, count = ndimage.label(core)
    if not count:
        return core
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    kept: Mask = (sizes >= SMALLEST_PART_OF_LARGEST * sizes.max())[components]
    return kept & core
