"""Whether a volume is a CT in Hounsfield units, asked before minutes are spent on it."""

from __future__ import annotations

import numpy as np

from inference_backend.experts.extent import require_extent
from inference_backend.experts.modality import require_modality
from inference_backend.imaging.volume import Array, Volume
from VILAM3SlicerLib.protocol.errors import ExpertError

AIR_HU = -1024
HIGHEST_HU = 3071
"""Twelve-bit CT ends here; metal beyond it says nothing more."""

LOWEST_PADDING_HU = -2040
"""A little above -2048, which scanners write where they did not look, as others do -2000 or -3024."""

MIN_SLICES = 3

_LARGEST_MM = 3000.0


def require_ct(volume: Volume) -> Array:
    """The volume's voxels, those that are not numbers as air.

    Raises:
        ExpertError: see ``check_ct``.
    """
    check_ct(volume)
    return _with_air(volume.voxels)


def check_ct(volume: Volume, modality: str = "Unknown") -> None:
    """Refuse what is no CT; an eighth of the voxels is looked at.

    Args:
        modality: what the person or the file says.

    Raises:
        ExpertError: another modality, fewer than three slices, voxels of no body's size, or values that are
            not Hounsfield units.
    """
    require_modality(modality, "CT", "CT", "a CT")
    slices = min(volume.voxels.shape)
    if slices < MIN_SLICES:
        raise ExpertError(
            f"The volume has {slices} slice(s) only.",
            f"Choose a volume with at least {MIN_SLICES} slices.",
        )
    if not np.isrealobj(volume.voxels):
        raise ExpertError("The volume has complex values, not Hounsfield units.", "Choose a CT volume.")
    require_extent(volume, _LARGEST_MM)
    _require_hounsfield(_with_air(volume.voxels[::2, ::2, ::2]))


def _with_air(voxels: Array) -> Array:
    if voxels.dtype.kind == "f":
        return np.nan_to_num(voxels, nan=AIR_HU, posinf=HIGHEST_HU, neginf=AIR_HU)
    return voxels


def _require_hounsfield(sample: Array) -> None:
    """Tell CT from anything else by what every body has: soft tissue around 0 HU, and air or fat below it.

    Nothing is less dense than air; only padding, which is one value, lies below.
    """
    below_air = np.mean((sample > max(LOWEST_PADDING_HU, sample.min())) & (sample < -1100))
    soft_tissue = np.mean((sample > -200) & (sample < 300))
    fat_or_air = np.mean((sample > -1020) & (sample < -40))
    if below_air > 0.01:
        raise ExpertError(
            "The values are not Hounsfield units: many lie below that of air.",
            "Choose a CT; if this is one, its rescale intercept was applied twice: import the DICOM again.",
        )
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
