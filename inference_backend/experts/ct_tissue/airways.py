"""The windpipe and its branches."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from inference_backend.experts.ct_tissue import morphology
from inference_backend.experts.ct_tissue.working_grid import Hounsfield, Mask

LUMEN_BELOW_HU = -850
DARKEST_BELOW_HU = -900
TRACHEA_AREA_MM2 = (40.0, 700.0)
TRACHEA_LENGTH_MM = 40.0
OFF_CENTRE = 0.15
"""The windpipe's distance from the middle of the body, as a part of the body's width."""
NECK_AREA_MM2 = 30_000.0
GROWING_THRESHOLDS_HU = (-975, -950, -925, -900, -875, -850, -825)
LARGEST_ML = 120.0
BRONCHIAL_WALL_MM = 2.5
LEAK_GROWTH = 1.6
"""A tree that grows by more from one threshold to the next has leaked into the lung."""


def find_airways(hounsfield: Hounsfield, body: Mask, lungs: Mask, spacing: morphology.Spacing) -> Mask:
    """The air in windpipe and bronchi as far as it stands out from the lung; empty where there is none.

    Args:
        lungs: aerated lung, windpipe and bronchi included.
    """
    trachea = _trachea(hounsfield, body, lungs, spacing)
    if not trachea.any():
        return trachea
    voxel_ml = float(np.prod(spacing)) / 1000
    tree = trachea
    for threshold in GROWING_THRESHOLDS_HU:
        grown = morphology.touching((hounsfield < threshold) & body, trachea) | trachea
        leaked = tree is not trachea and grown.sum() > LEAK_GROWTH * tree.sum()
        if leaked or grown.sum() * voxel_ml > LARGEST_ML:
            break
        tree = grown
    return tree


def _trachea(hounsfield: Hounsfield, body: Mask, lungs: Mask, spacing: morphology.Spacing) -> Mask:
    """Long runs of round, central air columns, in the neck or above the middle of the lungs."""
    columns, _ = ndimage.label(_round_columns(hounsfield, body, spacing))
    found = np.zeros_like(body)
    for index, box in enumerate(ndimage.find_objects(columns), start=1):
        levels = box[2]
        if (levels.stop - levels.start) * spacing[2] >= TRACHEA_LENGTH_MM and _in_neck_or_chest(
            (levels.start + levels.stop) // 2, body, lungs, spacing
        ):
            found[box] |= columns[box] == index
    return found


def _in_neck_or_chest(level: int, body: Mask, lungs: Mask, spacing: morphology.Spacing) -> bool:
    if body[:, :, level].sum() * spacing[0] * spacing[1] < NECK_AREA_MM2:
        return True
    by_level = lungs.sum((0, 1))
    return bool(by_level.any() and by_level[:level].sum() > by_level[level:].sum())


def _round_columns(hounsfield: Hounsfield, body: Mask, spacing: morphology.Spacing) -> Mask:
    """The cross-sections of dark air, slice by slice, that are round, of a trachea's size and central."""
    sections, _ = morphology.label_slices((hounsfield < LUMEN_BELOW_HU) & body)
    areas = np.bincount(sections.ravel()) * spacing[0] * spacing[1]
    middle, width = _extent_across(body)
    kept = np.zeros_like(body)
    for index, box in enumerate(ndimage.find_objects(sections), start=1):
        if not TRACHEA_AREA_MM2[0] <= areas[index] <= TRACHEA_AREA_MM2[1]:
            continue
        section = sections[box] == index
        across = (box[0].start + box[0].stop - 1) / 2
        central = abs(across - middle[box[2].start]) <= OFF_CENTRE * width[box[2].start]
        if central and _is_round(section) and hounsfield[box][section].min() < DARKEST_BELOW_HU:
            kept[box] |= section
    return kept


def _extent_across(body: Mask) -> tuple[np.ndarray, np.ndarray]:
    """Middle and width of the body from left to right, in voxels, for each axial slice."""
    columns: Mask = np.asarray(body.any(1))
    first = columns.argmax(0)
    last = len(columns) - 1 - columns[::-1].argmax(0)
    return (first + last) / 2, last - first


def _is_round(section: Mask) -> bool:
    across, deep = section.shape[0], section.shape[1]
    return max(across, deep) <= 2 * min(across, deep) and bool(section.mean() >= 0.55)
