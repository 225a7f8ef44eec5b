"""The grid that the CT tissue expert computes on: closest-RAS axes, voxels merged to about 1.5 mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference_backend.imaging.orientation import Reorientation, closest_ras
from inference_backend.imaging.volume import Volume
from VILAM3SlicerLib.protocol.errors import ExpertError

WORKING_SPACING_MM = 1.5
AIR_HU = -1024
HIGHEST_HU = 3071
"""Twelve-bit CT ends here; metal beyond it says nothing more."""

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
    if min(volume.voxels.shape) < 3:
        raise ExpertError(
            f"The volume has {min(volume.voxels.shape)} slice(s) only.",
            "Choose a volume with at least 3 slices.",
        )
    turned, reorientation = closest_ras(volume)
    full = _clean(turned.voxels)
    _require_hounsfield(full)
    right, anterior, superior = (max(1, round(WORKING_SPACING_MM / mm)) for mm in turned.spacing)
    factors = (right, anterior, superior)
    x, y, z = (float(mm * factor) for mm, factor in zip(turned.spacing, factors, strict=True))
    return WorkingGrid(full, _block_means(full, factors), (x, y, z), factors, reorientation)


def _clean(voxels: npt.NDArray[np.generic]) -> Hounsfield:
    if not np.isrealobj(voxels):
        raise ExpertError("The volume has complex values, not Hounsfield units.", "Choose a CT volume.")
    finite = np.nan_to_num(voxels, nan=AIR_HU) if voxels.dtype.kind == "f" else voxels
    clipped: Hounsfield = np.clip(finite, AIR_HU, HIGHEST_HU).astype(np.int16)
    return clipped


def _require_hounsfield(full: Hounsfield) -> None:
    """Tell CT from anything else by what every body has: soft tissue around 0 HU, and air or fat below it."""
    sample = full[::2, ::2, ::2]
    soft_tissue = np.mean((sample > -200) & (sample < 300))
    fat_or_air = np.mean((sample > -1020) & (sample < -40))
    if soft_tissue < 0.01:
        raise ExpertError(
            "No body tissue was found: almost no voxel lies between -200 and 300 HU.",
            "Choose a CT in Hounsfield units that shows a body.",
        )
    if fat_or_air < 0.001:
        raise ExpertError(
            "The values are not Hounsfield units: there is neither fat nor air below 0.",
            "Choose a CT; if this is one, its rescale intercept was lost: import the DICOM again.",
        )


def _block_means(full: Hounsfield, factors: tuple[int, ...]) -> Hounsfield:
    padding = [(0, -size % factor) for size, factor in zip(full.shape, factors, strict=True)]
    padded = np.pad(full, padding, mode="edge") if any(after for _, after in padding) else full
    total = np.zeros([size // factor for size, factor in zip(padded.shape, factors, strict=True)], np.float32)
    for offset in np.ndindex(*factors):
        total += padded[tuple(slice(start, None, step) for start, step in zip(offset, factors, strict=True))]
    means: Hounsfield = np.rint(total / np.prod(factors)).astype(np.int16)
    return means
