"""The grid that the CT tissue expert computes on: closest-RAS axes, voxels merged to about 1.5 mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference_backend.experts.hounsfield import AIR_HU, HIGHEST_HU, require_ct
from inference_backend.imaging.orientation import Reorientation, closest_ras
from inference_backend.imaging.volume import Volume

WORKING_SPACING_MM = 1.5

Mask = npt.NDArray[np.bool_]
Hounsfield = npt.NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class WorkingGrid:
    """A CT on the closest-RAS axes.

    Attributes:
        full: HU on all voxels, shape (R, A, S), clipped to [-1024, 3071]; padding and NaN are air.
        hounsfield: HU, means over blocks of ``factors`` voxels, shape (r, a, s).
        spacing: of ``hounsfield``, in mm.
        factors: how many voxels of ``full`` make one of ``hounsfield``, along each axis.
    """

    full: Hounsfield
    hounsfield: Hounsfield
    spacing: tuple[float, float, float]
    factors: tuple[int, int, int]
    reorientation: Reorientation

    def spread(self, working: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """Working-grid values on the full closest-RAS grid, each block filled with its value."""
        spread = working
        for axis, factor in enumerate(self.factors):
            spread = np.repeat(spread, factor, axis)
        right, anterior, superior = self.full.shape
        return spread[:right, :anterior, :superior]


def working_grid(volume: Volume) -> WorkingGrid:
    """Prepare a CT.

    Raises:
        ExpertError: fewer than three slices, or values that are not Hounsfield units.
    """
    turned, reorientation = closest_ras(volume)
    full = np.clip(require_ct(turned), AIR_HU, HIGHEST_HU).astype(np.int16)
    right, anterior, superior = (max(1, round(WORKING_SPACING_MM / mm)) for mm in turned.spacing)
    factors = (right, anterior, superior)
    x, y, z = (float(mm * factor) for mm, factor in zip(turned.spacing, factors, strict=True))
    return WorkingGrid(full, _block_means(full, factors), (x, y, z), factors, reorientation)


def _block_means(full: Hounsfield, factors: tuple[int, ...]) -> Hounsfield:
    padding = [(0, -size % factor) for size, factor in zip(full.shape, factors, strict=True)]
    padded = np.pad(full, padding, mode="edge") if any(after for _, after in padding) else full
    total = np.zeros([size // factor for size, factor in zip(padded.shape, factors, strict=True)], np.float32)
    for offset in np.ndindex(*factors):
        total += padded[tuple(slice(start, None, step) for start, step in zip(offset, factors, strict=True))]
    means: Hounsfield = np.rint(total / np.prod(factors)).astype(np.int16)
    return means
