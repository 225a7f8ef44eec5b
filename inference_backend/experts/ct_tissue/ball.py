"""Growing a mask by a ball in millimetres, eight voxels at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inference_backend.experts.ct_tissue.working_grid import Mask

Offset = tuple[int, int]


def grow(mask: Mask, millimetres: float, spacing: tuple[float, float, float]) -> Mask:
    """All voxels within ``millimetres`` of ``mask``, centre to centre; exact.

    The ball is cut into columns along the last axis. For each length of column the mask is stretched by it
    along that axis, packed into bits, and shifted to where the ball has such columns.
    """
    grown = np.packbits(np.zeros_like(mask), axis=2)
    stretched = mask.copy()
    for height, offsets in enumerate(_columns(millimetres, spacing, mask.shape)):
        if height:
            stretched[:, :, height:] |= mask[:, :, :-height]
            stretched[:, :, :-height] |= mask[:, :, height:]
        packed = np.packbits(stretched, axis=2)
        for first, second in offsets:
            to, source = _shifted(first, second)
            grown[to] |= packed[source]
    return np.unpackbits(grown, axis=2, count=mask.shape[2]).view(bool)


def _columns(
    millimetres: float, spacing: tuple[float, float, float], shape: tuple[int, ...]
) -> Iterator[list[Offset]]:
    """For half the length 0, 1, 2 ... of a column in voxels, the offsets of such columns from the centre."""
    reach = [min(int(millimetres / mm), size - 1) for mm, size in zip(spacing, shape, strict=True)]
    first, second = np.mgrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]
    left = millimetres**2 - (first * spacing[0]) ** 2 - (second * spacing[1]) ** 2
    heights = np.minimum(np.sqrt(np.maximum(left, 0)) / spacing[2], reach[2]).astype(int)
    heights[left < 0] = -1
    for height in range(reach[2] + 1):
        chosen = heights == height
        yield list(zip(first[chosen].tolist(), second[chosen].tolist(), strict=True))


def _shifted(first: int, second: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The parts of an array and of itself moved by so many voxels that lie on each other."""
    to = slice(max(first, 0), min(first, 0) or None), slice(max(second, 0), min(second, 0) or None)
    source = slice(max(-first, 0), min(-first, 0) or None), slice(max(-second, 0), min(-second, 0) or None)
    return to, source
