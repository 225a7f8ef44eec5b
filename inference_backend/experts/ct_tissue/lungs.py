"""The two lungs, with the vessels and small nodules in them."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from inference_backend.experts.ct_tissue import morphology
from inference_backend.experts.ct_tissue.working_grid import Hounsfield, Mask

AERATED_BELOW_HU = -400
INFLATED_HU = (-960, -500)
"""Of most lung tissue; gas in the bowel is darker, stool brighter."""
INFLATED_PART = 0.9
INFLATED_PART_WHOLE_LUNG = 0.6
"""Emphysema darkens a whole lung, never a lone small piece of it."""
WHOLE_LUNG_ML = 500.0
SMALLEST_PIECE_ML = 2.0
SMALLER_LUNG = 0.2
"""The smaller lung has at least this part of the larger one's volume."""
ADHESION_DEPTHS_MM = (0.0, 1.5, 3.0, 4.5, 6.0, 8.0, 10.0)
"""Lungs that touch are cut where a ball of the smallest of these radii does not pass."""
VESSEL_GAP_MM = 8.0
"""Dents and gaps up to twice as wide, vessels and nodules at the wall, are counted as lung."""
SPINE_ABOVE_HU = 200
HALF_SPINE_MM = 20.0
"""Of a vertebra's width; a scan that ends so near to the spine shows one lung, whose lobes may come apart."""


def find_aerated_lungs(hounsfield: Hounsfield, body: Mask, spacing: morphology.Spacing) -> Mask:
    """Aerated lung tissue with the airways that hang on it, without gas in the bowel."""
    pieces, _ = ndimage.label((hounsfield < AERATED_BELOW_HU) & body)
    inflated = (hounsfield > INFLATED_HU[0]) & (hounsfield < INFLATED_HU[1])
    sizes = np.bincount(pieces.ravel())
    part = np.bincount(pieces.ravel(), inflated.ravel()) / sizes
    millilitres = sizes * float(np.prod(spacing)) / 1000
    whole = (millilitres >= WHOLE_LUNG_ML) & (part >= INFLATED_PART_WHOLE_LUNG)
    keep = whole | ((millilitres >= SMALLEST_PIECE_ML) & (part >= INFLATED_PART))
    keep[0] = False
    kept: Mask = keep[pieces]
    return kept


def split_lungs(
    hounsfield: Hounsfield, aerated: Mask, body: Mask, spacing: morphology.Spacing
) -> tuple[Mask, Mask]:
    """The left and the right lung of aerated tissue without airways, vessels included."""
    on_left = _left_side(aerated, _spine_across(hounsfield, body, spacing), spacing)
    left, right = (_with_vessels(side, spacing) & body for side in (aerated & on_left, aerated & ~on_left))
    return left, right & ~left


def _spine_across(hounsfield: Hounsfield, body: Mask, spacing: morphology.Spacing) -> int:
    """Where the spine is from left to right: the sagittal layer with the most bone, in half a body too."""
    bright = ((hounsfield > SPINE_ABOVE_HU) & body).sum((1, 2)).astype(float)
    return int(ndimage.uniform_filter1d(bright, max(1, round(HALF_SPINE_MM / spacing[0]))).argmax())


def _left_side(aerated: Mask, spine: int, spacing: morphology.Spacing) -> Mask:
    """True where aerated tissue belongs to the left lung."""
    across = np.arange(aerated.shape[0])[:, None, None]
    from_edge = min(spine, len(across) - 1 - spine) * spacing[0]
    cores = _two_cores(aerated, spacing) if from_edge > HALF_SPINE_MM else None
    if cores is None:
        return np.broadcast_to(_mean_across(aerated) < spine, aerated.shape)
    left, right = cores
    in_lungs = morphology.touching(aerated, left | right)
    nearer = morphology.distance_to(left, spacing) < morphology.distance_to(right, spacing)
    middle = (_mean_across(left) + _mean_across(right)) / 2
    return np.where(in_lungs, nearer, across < middle)


def _two_cores(aerated: Mask, spacing: morphology.Spacing) -> tuple[Mask, Mask] | None:
    """The left and the right lung as far as they are apart, or None where there is only one."""
    depth = morphology.distance_to(~aerated, spacing)
    for millimetres in ADHESION_DEPTHS_MM:
        pieces, count = ndimage.label(depth > millimetres)
        if count < 2:
            continue
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        second, first = np.argsort(sizes)[-2:]
        if sizes[second] >= SMALLER_LUNG * sizes[first]:
            left, right = sorted((pieces == first, pieces == second), key=_mean_across)
            return left, right
    return None


def _mean_across(mask: Mask) -> float:
    """Mean index from left to right."""
    counts = mask.sum((1, 2))
    return float(np.average(np.arange(len(counts)), weights=counts)) if counts.any() else 0.0


def _with_vessels(lung: Mask, spacing: morphology.Spacing) -> Mask:
    return morphology.fill(morphology.close(lung, VESSEL_GAP_MM, spacing))
