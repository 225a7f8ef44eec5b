"""The name of a volume: the hash of its voxels and of where they lie."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence


class VolumeDigest:
    """The SHA-256 of a volume's type, shape, geometry and voxels, the voxels a piece at a time.

    A flipped copy is another volume, since its matrix differs.

    Args:
        dtype: NumPy's name of the voxel type, such as ``int16``.
        shape: number of voxels along I, J and K.
        ijk_to_ras: 16 numbers, row by row, voxel centres to RAS in mm.
    """

    def __init__(self, dtype: str, shape: Sequence[int], ijk_to_ras: Sequence[float]) -> None:
        head = f"vilam3-volume {dtype} {'x'.join(str(size) for size in shape)}\n".encode()
        geometry = struct.pack("<16d", *(number + 0.0 for number in ijk_to_ras))  # + 0.0 turns -0.0 into 0.0
        self._digest = hashlib.sha256(head + geometry)

    def update(self, piece: bytes | memoryview) -> None:
        """Add the next voxels: little-endian, I fastest, any number of bytes."""
        self._digest.update(piece)

    def hexdigest(self) -> str:
        """64 hex digits for what has been added so far."""
        return self._digest.hexdigest()


def volume_hash(
    dtype: str, shape: Sequence[int], ijk_to_ras: Sequence[float], voxel_bytes: Iterable[bytes | memoryview]
) -> str:
    """The digest (see ``VolumeDigest``) of a volume whose voxels are all there."""
    digest = VolumeDigest(dtype, shape, ijk_to_ras)
    for piece in voxel_bytes:
        digest.update(piece)
    return digest.hexdigest()


def content_hash(data: bytes) -> str:
    """The SHA-256 (64 hex digits) by which an image is named."""
    return hashlib.sha256(data).hexdigest()
