"""What the experts' benchmark measures of a piece of work, and the table that it prints."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from scipy.ndimage import binary_erosion, find_objects
from scipy.spatial import KDTree

GIB = 1024**3

Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Options:
    """What was asked for; ``weights`` holds the folder of an expert's released weights by its name."""

    device: str = "cpu"
    data: Path = Path(".cache/data")
    quick: bool = False
    weights: dict[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """What a piece of work took, and its result.

    Attributes:
        peak: device memory in bytes, None on a CPU.
        labels: on the scan's grid, or probabilities; whatever the rows compare.
        main_memory: bytes of the process that came on top while it worked, at most.
    """

    seconds: float
    peak: int | None
    labels: Any
    main_memory: int = 0


@dataclass(frozen=True)
class Quality:
    """Agreement with a reference: Dice, and 95 % Hausdorff distance in mm."""

    dice: float
    hausdorff: float


@dataclass(frozen=True)
class Row:
    """One line: an expert on a scan, next to its peer. None stands where nothing was measured."""

    expert: str
    work: str
    ours: Measured | None
    quality: Quality | None = None
    peer_name: str = ""
    peer: Measured | None = None
    peer_quality: Quality | None = None
    same: float | None = None
    """The part of the results in which both agree."""


def measured(device: str, work: Callable[[], Any]) -> Measured:
    """Run once to warm up on a GPU, once to measure."""
    on_gpu = device.startswith("cuda")
    if on_gpu:
        work()
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
    with _main_memory() as grown:
        started = time.perf_counter()
        labels = work()
        if on_gpu:
            torch.cuda.synchronize()
        seconds = time.perf_counter() - started
    peak = torch.cuda.max_memory_allocated() if on_gpu else None
    return Measured(seconds, peak, labels, max(grown))


@contextmanager
def _main_memory() -> Iterator[list[int]]:
    """Samples how far the process's memory has grown, a hundred times a second."""
    process, ended = psutil.Process(), threading.Event()
    before, grown = process.memory_info().rss, [0]

    def watch() -> None:
        while not ended.wait(0.01):
            grown.append(process.memory_info().rss - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield grown
    finally:
        ended.set()
        watcher.join()


def quality(found: Mask, reference: Mask, spacing: np.ndarray[Any, Any]) -> Quality:
    """Of one structure."""
    return Quality(dice(found, reference), hausdorff_95(found, reference, spacing))


def mean_quality(
    found: np.ndarray[Any, Any], reference: np.ndarray[Any, Any], spacing: np.ndarray[Any, Any]
) -> Quality:
    """Over the labels of the reference; the distance over those that were found at all."""
    each = [quality(found == label, reference == label, spacing) for label in np.unique(reference) if label]
    distances = [one.hausdorff for one in each if np.isfinite(one.hausdorff)]
    return Quality(
        float(np.mean([one.dice for one in each])), float(np.mean(distances)) if distances else np.inf
    )


def dice(found: Mask, reference: Mask) -> float:
    """0 where one is empty."""
    return 2 * float((found & reference).sum()) / max(1.0, float(found.sum() + reference.sum()))


def hausdorff_95(found: Mask, reference: Mask, spacing: np.ndarray[Any, Any]) -> float:
    """In mm, between the outermost voxels of both, the larger direction; infinite where one is empty."""
    if not (found.any() and reference.any()):
        return float("inf")
    (box,) = find_objects((found | reference).astype(np.uint8))
    surfaces = [np.argwhere(mask & ~binary_erosion(mask)) * spacing for mask in (found[box], reference[box])]
    one, other = (KDTree(points) for points in surfaces)
    ways = (other.query(surfaces[0])[0], one.query(surfaces[1])[0])
    return float(max(np.percentile(way, 95) for way in ways))


_COLUMNS = ("seconds", "main GiB", "GPU GiB", "Dice", "HD95 mm")


def table(rows: Sequence[Row]) -> str:
    """The lines, ours and the peer's side by side; GPU memory on a CPU is unmeasured."""
    heading = ["expert", "work", *_COLUMNS, "peer", *_COLUMNS, "same"]
    lines = [heading, *(_line(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _line(row: Row) -> list[str]:
    same = "-" if row.same is None else f"{row.same:.4%}"
    ours, peer = _cells(row.ours, row.quality), _cells(row.peer, row.peer_quality)
    return [row.expert, row.work, *ours, row.peer_name or "-", *peer, same]


def _cells(measured: Measured | None, reached: Quality | None) -> list[str]:
    quality = ["-", "-"] if reached is None else [f"{reached.dice:.3f}", f"{reached.hausdorff:.1f}"]
    if measured is None:
        return ["-", "-", "-", *quality]
    device = "unmeasured" if measured.peak is None else f"{measured.peak / GIB:.2f}"
    return [f"{measured.seconds:.1f}", f"{measured.main_memory / GIB:.2f}", device, *quality]
