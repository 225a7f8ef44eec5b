"""The name of a volume: the hash of its voxels and of where they lie."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence


def volume_hash(
    dtype: str, shape: Sequence[int], ijk_to_ras: Sequence[float], voxel_bytes: Iterable[bytes | memoryview]
) -> str:
    """The SHA-256 (64 hex digits) of a volume's type, shape, geometry and voxels.

    A flipped copy is another volume, since its matrix differs.

    Args:
        dtype: NumPy's name of the voxel type, such as ``int16``.
        shape: number of voxels along I, J and K.
        ijk_to_ras: 16 numbers, row by row, voxel centres to RAS in mm.
        voxel_bytes: little-endian voxels, I fastest, in pieces of any size.
    """
    digest = hashlib.sha256()
    digest.update(f"vilam3-volume {dtype} {'x'.join(str(size) for size in shape)}\n".encode())
    digest.update(struct.pack("<16d", *(number + 0.0 for number in ijk_to_ras)))  # + 0.0 turns -0.0 into 0.0
    for piece in voxel_bytes:
        digest.update(piece)
    return digest.hexdigest()


def content_hash(data: bytes) -> str:
    """The SHA-256 (64 hex digits) by which an image is named."""
    return hashlib.sha256(data).hexdigest()
