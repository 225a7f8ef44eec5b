"""Blood that contrast agent makes brighter than any soft tissue."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from inference_backend.experts.ct_tissue import morphology
from inference_backend.experts.ct_tissue.working_grid import Hounsfield, Mask

ENHANCED_HU = (120, 700)
SMOOTH_BELOW_HU = 35.0
"""Standard deviation among 27 neighbours; the network of bone trabeculae is rougher, its marrow darker."""
SMALLEST_CORE_ML = 1.0

LARGE_VESSEL_ABOVE_HU = 180
"""The mean of a great vessel with contrast; without, blood has 30 to 60 HU."""
LARGE_VESSEL_ML = 3.0
CENTRAL_PART = 0.25
"""Heart and great vessels: this near to the middle of the body, as a part of its width. Kidneys are not."""
BLOOD_PART_OF_LEVEL = 0.6
SMALLEST_VESSEL_ML = 0.5


def smooth_bright_cores(hounsfield: Hounsfield, body: Mask, spacing: morphology.Spacing) -> Mask:
    """The insides of what is bright and even: great vessels, heart chambers, enhanced organs; never bone."""
    values = hounsfield.astype(np.float32)
    mean = ndimage.uniform_filter(values, 3)
    variance = ndimage.uniform_filter(values * values, 3) - mean * mean
    even = (variance < SMOOTH_BELOW_HU**2) & (mean > ENHANCED_HU[0]) & (mean < ENHANCED_HU[1])
    return morphology.larger_than(even & body, SMALLEST_CORE_ML * 1000 / float(np.prod(spacing)))


def find_enhanced_blood(
    hounsfield: Hounsfield, body: Mask, not_blood: Mask, cores: Mask, spacing: morphology.Spacing
) -> Mask:
    """Heart chambers and vessels that contrast fills; empty where there is no contrast.

    Args:
        not_blood: bone, lungs.
        cores: see ``smooth_bright_cores``.
    """
    vessels, level = _great_vessels(hounsfield, body, cores & ~not_blood, spacing)
    if not vessels.any():
        return vessels
    bright = (hounsfield > max(ENHANCED_HU[0], BLOOD_PART_OF_LEVEL * level)) & body & ~not_blood
    voxels = SMALLEST_VESSEL_ML * 1000 / float(np.prod(spacing))
    return morphology.larger_than(morphology.touching(bright, vessels), voxels)


def _great_vessels(
    hounsfield: Hounsfield, body: Mask, cores: Mask, spacing: morphology.Spacing
) -> tuple[Mask, float]:
    """Central, large, bright cores, and the HU of the brightest of them."""
    pieces, count = ndimage.label(cores)
    if not count:
        return cores, 0.0
    index = np.arange(1, count + 1)
    levels = np.asarray(ndimage.mean(hounsfield, pieces, index))
    sizes = np.bincount(pieces.ravel())[1:] * float(np.prod(spacing)) / 1000
    across = np.asarray([centre[0] for centre in ndimage.center_of_mass(cores, pieces, index)])
    columns = np.nonzero(body.any((1, 2)))[0]
    central = np.abs(across - columns.mean()) < CENTRAL_PART * np.ptp(columns)
    found = central & (sizes >= LARGE_VESSEL_ML) & (levels >= LARGE_VESSEL_ABOVE_HU)
    if not found.any():
        return np.zeros_like(cores), 0.0
    return np.isin(pieces, index[found]), float(levels[found].max())
