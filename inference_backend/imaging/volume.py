"""A volume as a value: voxels together with where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from VILAM3SlicerLib.protocol.content_hash import volume_hash
from VILAM3SlicerLib.protocol.errors import UnsupportedVolume
from VILAM3SlicerLib.protocol.nrrd import NrrdVolume

Array = npt.NDArray[Any]
Affine = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Volume:
    """A 3D scalar image and its geometry.

    Attributes:
        voxels: shape (I, J, K), axes in IJK order.
        ijk_to_ras: 4x4, maps the centre of voxel (i, j, k, 1) to RAS in mm.

    Raises:
        UnsupportedVolume: not three axes, an empty axis, or a matrix that cannot be inverted.
    """

    voxels: Array
    ijk_to_ras: Affine

    def __post_init__(self) -> None:
        if self.voxels.ndim != 3 or 0 in self.voxels.shape:
            raise UnsupportedVolume(
                f"The volume has the shape {self.voxels.shape}; a single 3D scalar volume is needed."
            )
        if self.ijk_to_ras.shape != (4, 4) or not np.isfinite(self.ijk_to_ras).all():
            raise UnsupportedVolume("The volume's IJK-to-RAS matrix is not a finite 4x4 matrix.")
        if abs(np.linalg.det(self.ijk_to_ras[:3, :3])) < 1e-9:
            raise UnsupportedVolume("The volume's IJK-to-RAS matrix is flat: a voxel has no size.")

    @property
    def spacing(self) -> npt.NDArray[np.float64]:
        """Distance of neighbouring voxel centres along I, J and K, in mm."""
        spacing: npt.NDArray[np.float64] = np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)
        return spacing

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in mL."""
        return float(abs(np.linalg.det(self.ijk_to_ras[:3, :3]))) / 1000.0

    @property
    def ras_to_ijk(self) -> Affine:
        """4x4, maps RAS in mm to continuous voxel indices."""
        inverse: Affine = np.linalg.inv(self.ijk_to_ras).astype(np.float64)
        return inverse

    @property
    def content_hash(self) -> str:
        """The name of this volume on the wire, see ``protocol.content_hash``."""
        return volume_hash(self.voxels.dtype.name, self.voxels.shape, self._matrix(), [self._bytes()])

    def with_voxels(self, voxels: Array) -> Volume:
        """Other voxels on the same grid."""
        return Volume(voxels, self.ijk_to_ras)

    def to_nrrd(self) -> NrrdVolume:
        """The volume as it goes over the wire."""
        i, j, k = self.voxels.shape
        return NrrdVolume(self.voxels.dtype.name, (i, j, k), tuple(self._matrix()), self._bytes())  # type: ignore[arg-type]

    @classmethod
    def from_nrrd(cls, nrrd: NrrdVolume) -> Volume:
        """The volume in an NRRD body; the voxels are a read-only view of its bytes."""
        dtype = np.dtype(nrrd.dtype).newbyteorder("<")
        voxels = np.frombuffer(nrrd.voxels, dtype=dtype).reshape(nrrd.shape, order="F")
        return cls(voxels, np.array(nrrd.ijk_to_ras, dtype=np.float64).reshape(4, 4))

    def _matrix(self) -> list[float]:
        return [float(number) for number in self.ijk_to_ras.ravel()]

    def _bytes(self) -> memoryview:
        little = self.voxels.astype(self.voxels.dtype.newbyteorder("<"), copy=False)
        return memoryview(np.asfortranarray(little).ravel(order="F").view(np.uint8).data)
