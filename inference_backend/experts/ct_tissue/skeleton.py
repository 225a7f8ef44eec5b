"""Bone, told from contrast-filled blood by texture, cortex and place."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from inference_backend.experts.ct_tissue import morphology
from inference_backend.experts.ct_tissue.working_grid import Hounsfield, Mask

BONE_ABOVE_HU = 130
CORTEX_ABOVE_HU = 350
CORTEX_PART = 0.05
"""Of a bone's bright voxels; enhanced kidneys have less."""
SMALLEST_BONE_ML = 1.5
VESSEL_RIM_MM = 4.0
"""The bright, uneven rim around the smooth core of a vessel, wall and partial volume included."""
MARROW_GAP_MM = 3.0
SPINE_DEPTH_MM = 60.0
"""Vertebral bodies end behind this distance from the back of the lungs."""
LEAST_LUNG_AREA_MM2 = 2000.0
CANAL_AREA_MM2 = (80.0, 450.0)
CANAL_HU = (-20, 75)
"""The spinal canal is no marrow: a hole of this size, filled with cord, fluid and a little fat."""


def find_bone(
    hounsfield: Hounsfield, body: Mask, lungs: Mask, smooth_cores: Mask, spacing: morphology.Spacing
) -> Mask:
    """Bone with its marrow.

    Args:
        smooth_cores: insides of enhanced vessels and organs, see ``blood.smooth_bright_cores``.
    """
    vessels = morphology.dilate(smooth_cores, VESSEL_RIM_MM, spacing)
    bright = (hounsfield > BONE_ABOVE_HU) & body & ~lungs & ~vessels
    bright &= ~middle_of_chest(lungs, spacing)
    bone = morphology.close(_with_cortex(bright, hounsfield, spacing), MARROW_GAP_MM, spacing)
    return _with_marrow(bone & body & ~lungs, hounsfield, spacing)


def middle_of_chest(lungs: Mask, spacing: morphology.Spacing) -> Mask:
    """Between the lungs and in front of the spine: heart and great vessels, no bone."""
    has_left = np.logical_or.accumulate(lungs, axis=0)
    has_right = np.logical_or.accumulate(lungs[::-1], axis=0)[::-1]
    rows = lungs.any(0)
    back = rows.argmax(0)
    in_front = np.arange(rows.shape[0])[:, None] > back + SPINE_DEPTH_MM / spacing[1]
    in_front &= lungs.sum((0, 1)) * spacing[0] * spacing[1] > LEAST_LUNG_AREA_MM2
    middle: Mask = has_left & has_right & in_front
    return middle


def _with_cortex(bright: Mask, hounsfield: Hounsfield, spacing: morphology.Spacing) -> Mask:
    """The pieces that are large enough and have some cortical bone."""
    pieces, _ = ndimage.label(bright)
    sizes = np.bincount(pieces.ravel())
    cortical = np.bincount(pieces.ravel(), (hounsfield > CORTEX_ABOVE_HU).ravel()) / np.maximum(sizes, 1)
    keep = (sizes * float(np.prod(spacing)) / 1000 >= SMALLEST_BONE_ML) & (cortical > CORTEX_PART)
    keep[0] = False
    kept: Mask = keep[pieces]
    return kept


def _with_marrow(bone: Mask, hounsfield: Hounsfield, spacing: morphology.Spacing) -> Mask:
    """Fill the holes of each axial slice except the spinal canal."""
    holes, _ = morphology.label_slices(morphology.fill_slices(bone) & ~bone)
    sizes = np.maximum(np.bincount(holes.ravel()), 1)
    means = np.bincount(holes.ravel(), hounsfield.ravel()) / sizes
    areas = sizes * spacing[0] * spacing[1]
    canal = (areas > CANAL_AREA_MM2[0]) & (areas < CANAL_AREA_MM2[1])
    marrow = ~(canal & (means > CANAL_HU[0]) & (means < CANAL_HU[1]))
    marrow[0] = False
    filled: Mask = bone | marrow[holes]
    return filled
