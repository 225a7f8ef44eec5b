"""Turn a volume onto the axes closest to RAS and back: voxels change places, never values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import nibabel.orientations
import numpy as np
import numpy.typing as npt

from inference_backend.imaging.volume import Volume

_RAS = np.array([[0, 1], [1, 1], [2, 1]])


@dataclass(frozen=True, eq=False)
class Reorientation:
    """The permutation and flips between a volume's axes and the closest to right, anterior, superior.

    Attributes:
        ornt: (3, 2), in nibabel's convention: for each axis of the source the target axis and its sign.
    """

    ornt: npt.NDArray[np.float64]

    def to_ras(self, voxels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A view of IJK ``voxels`` with the axes right, anterior, superior."""
        turned: npt.NDArray[Any] = nibabel.orientations.apply_orientation(voxels, self.ornt)
        return turned

    def to_source(self, voxels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A view of closest-RAS ``voxels`` with the source's IJK axes; the exact inverse of ``to_ras``."""
        back = nibabel.orientations.ornt_transform(_RAS, self.ornt)
        turned: npt.NDArray[Any] = nibabel.orientations.apply_orientation(voxels, back)
        return turned


def closest_ras(volume: Volume) -> tuple[Volume, Reorientation]:
    """The same voxels with axes that point closest to right, anterior and superior.

    An oblique volume stays oblique: its axes are named after the patient axis they are nearest to.
    """
    ornt = nibabel.orientations.io_orientation(volume.ijk_to_ras)
    reorientation = Reorientation(ornt)
    turned_to_source = nibabel.orientations.inv_ornt_aff(ornt, volume.voxels.shape)
    turned = Volume(reorientation.to_ras(volume.voxels), volume.ijk_to_ras @ turned_to_source)
    return turned, reorientation
