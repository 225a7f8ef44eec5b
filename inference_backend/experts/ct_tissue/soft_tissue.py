"""Skin, the fat under it, and the muscles of trunk and limbs."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from inference_backend.experts.ct_tissue import morphology
from inference_backend.experts.ct_tissue.working_grid import Hounsfield, Mask

SKIN_MM = 2.5
FAT_HU = (-190, -30)
MUSCLE_HU = (-29, 150)
"""The customary window of skeletal muscle on CT."""
WALL_GAP_MM = 8.0
"""Gaps between muscles up to twice as wide are closed to tell inside from outside."""
WALL_MM = 22.0
BESIDE_BONE_MM = 20.0
RIB_GAP_MM = 14.0
THIN_MM = 1.5


def find_skin(body: Mask, spacing: morphology.Spacing) -> Mask:
    """The outermost layer of the body, one voxel at least."""
    return body & ~morphology.erode(body, max(SKIN_MM, 1.01 * max(spacing[:2])), spacing)


def inside_the_wall(hounsfield: Hounsfield, body: Mask, skin: Mask, spacing: morphology.Spacing) -> Mask:
    """All that the muscular wall encloses, the wall included."""
    firm = (hounsfield > MUSCLE_HU[0]) & body & ~skin
    firm = morphology.open_(firm | (body & (hounsfield < FAT_HU[0])), THIN_MM, spacing)
    return morphology.fill_slices(morphology.close(firm, WALL_GAP_MM, spacing)) & body


def find_subcutaneous_fat(hounsfield: Hounsfield, body: Mask, skin: Mask, inside: Mask) -> Mask:
    """Fat between the skin and the muscular wall."""
    return (hounsfield > FAT_HU[0]) & (hounsfield < FAT_HU[1]) & body & ~skin & ~inside


def find_muscle(
    hounsfield: Hounsfield, inside: Mask, bone: Mask, not_muscle: Mask, spacing: morphology.Spacing
) -> Mask:
    """Muscle of the wall and beside bones, without the organs behind the ribs.

    Args:
        inside: see ``inside_the_wall``.
        not_muscle: lungs, airways, enhanced blood.
    """
    soft = ndimage.uniform_filter(hounsfield.astype(np.float32), 3)
    lean = (soft > MUSCLE_HU[0]) & (soft < MUSCLE_HU[1]) & inside & ~bone & ~not_muscle
    wall = inside & ~morphology.erode(inside, WALL_MM, spacing)
    caged = morphology.close(bone, RIB_GAP_MM, spacing)
    behind_ribs = morphology.fill_slices(caged) & ~caged
    near = wall | morphology.dilate(bone, BESIDE_BONE_MM, spacing)
    return morphology.open_(lean & near & ~behind_ribs & ~morphology.fill_slices(bone), THIN_MM, spacing)
