"""Four sequences of one brain on one grid, checked before anything is computed on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import nibabel.orientations
import numpy as np
import numpy.typing as npt

from inference_backend.experts.brats.one_brain import check_one_brain
from inference_backend.experts.extent import require_extent
from inference_backend.experts.interface import SequenceVolume
from inference_backend.imaging.volume import Affine, Array, Volume
from VILAM3SlicerLib.protocol.errors import ExpertError
from VILAM3SlicerLib.protocol.mri_sequences import ROLES, assign_roles

SPACING_MM = 1.0
_SAME_MM = 0.01
"""Grids whose voxels lie closer than this are the same."""

_EXTRACTED_BELOW = 0.6
"""A brain without its skull leaves more than this part of a scan empty."""

_LARGEST_MM = 600.0


@dataclass(frozen=True, eq=False)
class Study:
    """The sequences in the published order T1c, T1, T2, FLAIR.

    Attributes:
        channels: arrays on the working grid: axes left, posterior, superior (as the BraTS data have them),
            1 mm where the source is not.
        ijk_to_ras: of the working grid.
        source: the volume that was asked about, on whose grid the result lies.
        notes: what a person should know of the preparation.
    """

    channels: tuple[Array, ...]
    ijk_to_ras: Affine
    source: Volume
    notes: tuple[str, ...]

    def on_source(self, labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Labels of the working grid on the source's grid, nearest."""
        on_grid = resample(Volume(labels, self.ijk_to_ras), self.source, nearest=True)
        return on_grid.astype(np.uint8)


def read_study(sequences: Sequence[SequenceVolume], source: Volume) -> Study:
    """Find the four sequences, check that they belong together, and bring them onto one grid.

    Args:
        source: the volume that was asked about, wherever it lies; the sequences share its frame.

    Raises:
        InvalidRequest: a sequence is missing, or it is not clear which is which.
        ExpertError: they are no MRI of one brain; the message says why.
    """
    chosen = find_sequences(sequences)
    grid = _working_grid(chosen[0].volume)
    channels = [resample(_clean(sequence.volume), grid, nearest=False) for sequence in chosen]
    notes = [*_guessed(chosen), *check_one_brain(channels)]
    moved = [
        role
        for role, sequence in zip(ROLES, chosen, strict=True)
        if _turned(sequence.volume, chosen[0].volume) is None
    ]
    if moved:
        notes.append(f"Resampled onto the grid of T1c: {', '.join(moved)}.")
    if np.mean(channels[0] != 0) > _EXTRACTED_BELOW:
        notes.append("The skull seems to be in the images; the model was trained on brains without it.")
    return Study(tuple(channels), grid.ijk_to_ras, source, tuple(notes))


def find_sequences(sequences: Sequence[SequenceVolume]) -> list[SequenceVolume]:
    """The four sequences in the published order, each looked at alone.

    Raises:
        InvalidRequest: a sequence is missing, or it is not clear which is which.
        ExpertError: one is no MRI, or is there twice; the message says why.
    """
    places = assign_roles([(sequence.name, sequence.role) for sequence in sequences])
    chosen = [sequences[places[role]] for role in ROLES]
    for role, sequence in zip(ROLES, chosen, strict=True):
        _require_mri(role, sequence.volume)
    _require_different(chosen)
    return chosen


def _require_different(chosen: Sequence[SequenceVolume]) -> None:
    """Refuse one image in two roles, such as a file that was opened twice."""
    for (first, one), (second, other) in combinations(zip(ROLES, chosen, strict=True), 2):
        if np.array_equal(one.volume.voxels, other.volume.voxels):
            raise ExpertError(
                f"{first} and {second} are the same image.", f"Say which volume is {second}, or open it."
            )


def _guessed(chosen: Sequence[SequenceVolume]) -> list[str]:
    """Which sequences were found by their names alone, where nobody said what they are."""
    pairs = zip(ROLES, chosen, strict=True)
    named = [f"{role}: {sequence.name}" for role, sequence in pairs if not sequence.role]
    return [f"By their names the sequences were taken as {', '.join(named)}."] if named else []


def resample(volume: Volume, grid: Volume, nearest: bool) -> Array:
    """A volume's values on another grid; 0 outside. Nothing is computed where only axes change places."""
    turned = _turned(volume, grid)
    if turned is not None:
        return turned
    import SimpleITK as sitk

    interpolator = sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear
    image = sitk.Resample(_image(volume), _image(grid), sitk.Transform(), interpolator, 0.0)
    return sitk.GetArrayFromImage(image).transpose(2, 1, 0)


def _working_grid(source: Volume) -> Volume:
    """Axes left, posterior, superior; 1 mm where the source is not. Values are of no meaning."""
    ornt = nibabel.orientations.ornt_transform(
        nibabel.orientations.io_orientation(source.ijk_to_ras), nibabel.orientations.axcodes2ornt("LPS")
    )
    voxels = nibabel.orientations.apply_orientation(source.voxels, ornt)
    matrix = source.ijk_to_ras @ nibabel.orientations.inv_ornt_aff(ornt, source.voxels.shape)
    turned = Volume(voxels, matrix)
    if np.allclose(turned.spacing, SPACING_MM, atol=_SAME_MM):
        return turned
    lengths = np.maximum(np.rint(turned.spacing * voxels.shape / SPACING_MM), 1).astype(int)
    scaled = matrix.copy()
    scaled[:3, :3] *= SPACING_MM / turned.spacing
    corner = (np.array(voxels.shape) - 1) / 2 - (lengths - 1) / 2 * SPACING_MM / turned.spacing
    scaled[:3, 3] = (matrix @ (*corner, 1.0))[:3]
    return Volume(np.zeros(lengths, np.uint8), scaled)


def _turned(volume: Volume, grid: Volume) -> Array | None:
    """The volume with its axes in the grid's order where that is all there is to do."""
    step = volume.ras_to_ijk[:3, :3] @ grid.ijk_to_ras[:3, :3]
    if not np.allclose(np.abs(step).round(), np.abs(step), atol=1e-3) or not _is_permutation(step):
        return None
    ornt = np.array(
        [[np.abs(step[axis]).argmax(), np.sign(step[axis][np.abs(step[axis]).argmax()])] for axis in range(3)]
    )
    voxels: Array = nibabel.orientations.apply_orientation(volume.voxels, ornt)
    moved = Volume(voxels, volume.ijk_to_ras @ nibabel.orientations.inv_ornt_aff(ornt, volume.voxels.shape))
    return voxels if _same_grid(moved, grid) else None


def _is_permutation(step: Affine) -> bool:
    nonzero = np.abs(step) > 0.5
    return bool((nonzero.sum(0) == 1).all() and (nonzero.sum(1) == 1).all())


def _same_grid(one: Volume, other: Volume) -> bool:
    """Whether the corners of both lie in the same places."""
    if one.voxels.shape != other.voxels.shape:
        return False
    corners = np.array([[i, j, k, 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * (
        *one.voxels.shape,
        1,
    )
    apart = corners @ (one.ijk_to_ras - other.ijk_to_ras).T
    return bool(np.abs(apart).max() < _SAME_MM)


def _clean(volume: Volume) -> Volume:
    return volume.with_voxels(np.nan_to_num(volume.voxels.astype(np.float32), posinf=0.0, neginf=0.0))


def _require_mri(role: str, volume: Volume) -> None:
    if min(volume.voxels.shape) < 3:
        raise ExpertError(
            f"{role} has {min(volume.voxels.shape)} slice(s) only.", "Choose volumes with at least 3 slices."
        )
    if not np.isrealobj(volume.voxels):
        raise ExpertError(f"{role} has complex values.", "Choose magnitude images.")
    require_extent(volume, _LARGEST_MM, role)
    sample = volume.voxels[::2, ::2, ::2]
    if not np.nan_to_num(sample).any():
        raise ExpertError(f"{role} is empty: all voxels are 0.", "Choose another volume.")
    if np.mean(sample < -900) > 0.05:
        raise ExpertError(f"{role} looks like a CT, not an MRI.", "Choose the MRI sequences of a brain.")


def _image(volume: Volume) -> Any:
    """The volume as SimpleITK has it, in LPS."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.voxels.transpose(2, 1, 0)))
    matrix = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.ijk_to_ras
    image.SetSpacing([float(mm) for mm in volume.spacing])
    image.SetOrigin([float(number) for number in matrix[:3, 3]])
    image.SetDirection([float(number) for number in (matrix[:3, :3] / volume.spacing).ravel()])
    return image
