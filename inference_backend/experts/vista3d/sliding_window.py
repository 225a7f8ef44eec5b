"""Whole-volume segmentation by class prompts, without ever holding a channel per class.

Windows are taken as MONAI's sliding-window inferer takes them and overlaps are averaged with equal weight.
Features are added up in a slab as thick as a window along the longest axis; as soon as no later window can
reach a plane its labels are decided and its features are dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from inference_backend.experts.vista3d.network import SegmentsByClass

if TYPE_CHECKING:
    from torch import Tensor, device

Window = tuple[int, int, int]
"""The first voxel of a window along X, Y and Z."""

AfterBatch = Callable[[int, int], None]
"""Takes the windows done and all windows; may raise to stop."""

_LOGITS_AT_ONCE = 2**25
"""Logits that are computed together when labels are decided: 128 MiB."""


@dataclass(frozen=True)
class Windows:
    """How a volume is cut. ``size`` in voxels, ``overlap`` a fraction, ``padding`` as MONAI names it."""

    size: tuple[int, int, int]
    overlap: float
    padding: str = "constant"

    def starts(self, length: int, axis: int) -> list[int]:
        """Where windows start along an axis that is at least a window long; the last one ends flush."""
        size = self.size[axis]
        step = max(int(size * (1 - self.overlap)), 1)
        count = -(-(length - size) // step) + 1
        return [min(number * step, length - size) for number in range(count)]


@dataclass(frozen=True)
class Placement:
    """How many windows are computed at once, and where their features are added up."""

    batch: int
    accumulate_on: device


def segment(
    image: Tensor,
    labels: Sequence[int],
    network: SegmentsByClass,
    windows: Windows,
    *,
    placement: Placement,
    after_batch: AfterBatch,
) -> Tensor:
    """Label each voxel with the class of the highest logit, 0 where none is above 0.

    Args:
        image: shape (X, Y, Z), preprocessed.
        labels: the class prompts; of equal logits the first wins.

    Returns:
        uint8, shape (X, Y, Z), on the CPU.
    """
    import torch

    padded, inner = _padded(image, windows)
    axis = max(range(3), key=lambda candidate: padded.shape[candidate])
    with torch.no_grad():
        slab = _Slab(tuple(padded.shape), axis, windows.size[axis], _Decision(network, labels), placement)
        for start, batches in _by_slab(tuple(padded.shape), axis, windows, placement.batch, after_batch):
            slab.advance(start)
            for batch in batches:
                slab.add(batch, network.features(_cut(padded, batch, windows.size)))
        slab.advance(padded.shape[axis])
    return slab.labels[inner]


def _padded(image: Tensor, windows: Windows) -> tuple[Tensor, tuple[slice, ...]]:
    """The image padded to at least a window on both sides alike, and where it lies in that."""
    from torch.nn.functional import pad

    missing = [max(size - length, 0) for size, length in zip(windows.size, image.shape, strict=True)]
    before = [number // 2 for number in missing]
    inner = tuple(slice(start, start + length) for start, length in zip(before, image.shape, strict=True))
    if not any(missing):
        return image, inner
    margins = [side for axis in (2, 1, 0) for side in (before[axis], missing[axis] - before[axis])]
    return pad(image[None, None], margins, mode=windows.padding)[0, 0], inner


def _by_slab(
    shape: tuple[int, ...], axis: int, windows: Windows, batch: int, after_batch: AfterBatch
) -> Iterator[tuple[int, Iterator[list[Window]]]]:
    """For each start along ``axis``, in order, the batches of windows that start there."""
    starts = [windows.starts(length, number) for number, length in enumerate(shape)]
    total = len(starts[0]) * len(starts[1]) * len(starts[2])
    done = 0
    for start in starts[axis]:
        here = list(product(*(starts[number] if number != axis else [start] for number in range(3))))
        yield start, _batches(here, batch, done, total, after_batch)
        done += len(here)


def _batches(
    windows: list[tuple[int, ...]], size: int, done: int, total: int, after_batch: AfterBatch
) -> Iterator[list[Window]]:
    for first in range(0, len(windows), size):
        after_batch(done + first, total)
        yield [(x, y, z) for x, y, z in windows[first : first + size]]


def _cut(image: Tensor, batch: Sequence[Window], size: tuple[int, int, int]) -> Tensor:
    import torch

    return torch.stack([image[_region(start, size)] for start in batch])[:, None]


def _region(start: Sequence[int], size: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(first, first + length) for first, length in zip(start, size, strict=True))


class _Decision:
    """From features to labels."""

    def __init__(self, network: SegmentsByClass, labels: Sequence[int]) -> None:
        import torch

        vectors = network.prompt_vectors(labels).float()
        self.channels = vectors.shape[1]
        self._vectors = vectors
        self._labels = torch.tensor(labels, dtype=torch.uint8, device=vectors.device)

    def __call__(self, features: Tensor) -> Tensor:
        """Labels, uint8, of features of shape (channels, voxels)."""
        import torch

        decided = torch.empty(features.shape[1], dtype=torch.uint8)
        step = max(_LOGITS_AT_ONCE // len(self._labels), 1)
        for first in range(0, features.shape[1], step):
            some = features[:, first : first + step].to(self._vectors.device)
            highest, index = (self._vectors @ some).max(0)
            decided[first : first + step] = torch.where(highest > 0, self._labels[index], 0).cpu()
        return decided


class _Slab:
    """Sums of features in a slab of planes, and the labels of the planes behind it.

    Sums need not be divided by the number of windows: that changes neither the sign nor the order of logits.
    """

    def __init__(
        self, shape: tuple[int, ...], axis: int, thickness: int, decide: _Decision, placement: Placement
    ) -> None:
        import torch

        self._axis = axis
        self._decide = decide
        self._start = 0
        across = list(shape)
        across[axis] = thickness
        self._sums = torch.zeros(decide.channels, *across, device=placement.accumulate_on)
        self.labels = torch.zeros(shape, dtype=torch.uint8)

    def add(self, batch: Sequence[Window], features: Tensor) -> None:
        """Add the features of windows that start where the slab starts."""
        for start, values in zip(batch, features, strict=True):
            corner = [first if axis != self._axis else 0 for axis, first in enumerate(start)]
            region = _region(corner, values.shape[1:])
            self._sums[(slice(None), *region)] += values.to(self._sums.device, self._sums.dtype)

    def advance(self, start: int) -> None:
        """Decide the planes before ``start`` and move the slab there."""
        count = start - self._start
        if not count:
            return
        thickness = self._sums.shape[self._axis + 1]
        count_here = min(count, thickness)
        complete = self._sums.narrow(self._axis + 1, 0, count_here)
        decided = self._decide(complete.flatten(1)).view(complete.shape[1:])
        self.labels.narrow(self._axis, self._start, count_here).copy_(decided)
        kept = self._sums.narrow(self._axis + 1, count_here, thickness - count_here).clone()
        self._sums.zero_()
        self._sums.narrow(self._axis + 1, 0, thickness - count_here).copy_(kept)
        self._start = start
