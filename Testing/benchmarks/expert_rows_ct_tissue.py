"""CT_TISSUE, everything on the chest CT, each structure against its reference next to a bare threshold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from inference_backend.experts.ct_tissue import create
from inference_backend.experts.interface import ExpertRequest, Segmentation
from inference_backend.imaging.volume import Volume
from Testing.benchmarks.ct_tissue import STRUCTURES, read, scans
from Testing.benchmarks.expert_table import Measured, Options, Row, measured, quality


def rows(options: Options) -> list[Row]:
    """A line for the work, one for each structure that has a reference; ``quick`` takes the abdomen."""
    chest, abdomen, *_ = scans(options.data)
    scan = abdomen if options.quick else chest
    volume, references = read(scan.ct), scan.references()
    work = replace(measured("cpu", lambda: segmented(volume)), peak=0)
    size = "x".join(map(str, volume.voxels.shape))
    lines = [Row("CT_TISSUE", f"everything, {size}", work)]
    for known in STRUCTURES:
        reference = references.get(known.name)
        if reference is None or not reference.any():
            continue
        low, high = known.threshold
        found = mask(work, known.name)
        bare = (volume.voxels > low) & (volume.voxels < high)
        reached, threshold = (quality(one, reference, volume.spacing) for one in (found, bare))
        lines.append(Row("", known.name, None, reached, f"{low} to {high} HU", None, threshold))
    return lines


def segmented(volume: Volume) -> Segmentation:
    return create().run(ExpertRequest("everything", volume), lambda fraction, words: None, lambda: False)


def mask(work: Measured, name: str) -> np.ndarray:
    """Where a segment of the result is."""
    result: Segmentation = work.labels
    (segment,) = (segment for segment in result.segments if segment.name == name)
    return np.isin(result.labelmap.voxels, segment.label_values)
