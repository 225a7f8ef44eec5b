"""The CT tissue expert: classical image analysis, no weights, nothing to download."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from inference_backend.conversation.model_cards import ModelCard
from inference_backend.experts.ct_tissue.analysis import TissueAnalysis
from inference_backend.experts.ct_tissue.structures import ARGUMENTS, Tissue, segments_of, tissues_asked_for
from inference_backend.experts.ct_tissue.working_grid import WorkingGrid, working_grid
from inference_backend.experts.hounsfield import check_ct
from inference_backend.experts.interface import (
    Expert,
    ExpertRequest,
    IsCancelled,
    ReportProgress,
    Segmentation,
)
from inference_backend.imaging.volume import Array
from VILAM3SlicerLib.protocol.errors import Cancelled

CARD = ModelCard(
    name="CT_TISSUE",
    modality="CT",
    task="segmentation",
    overview="classical image analysis by thresholds, connectivity and shape, no learned weights",
    accuracy="Dice on one chest CT: lungs 0.98, airways 0.85, bone 0.81, others rough",
    arguments=tuple(ARGUMENTS),
)


class CtTissue(Expert):
    """Works on the CPU, so it needs no device memory."""

    card = CARD
    version = "1.1"
    tells_sizes = True

    def check(self, request: ExpertRequest) -> None:
        tissues_asked_for(request.arguments)
        check_ct(request.volume, request.modality)

    def run(
        self, request: ExpertRequest, report_progress: ReportProgress, is_cancelled: IsCancelled
    ) -> Segmentation:
        """Segment what the argument asks for, see ``interface.Expert.run``."""
        tissues = tissues_asked_for(request.arguments)
        step = _Steps(report_progress, is_cancelled, len(tissues))
        step("reading the Hounsfield units")
        grid = working_grid(request.volume)
        labels = _labels(grid, TissueAnalysis(grid, step), tissues, step)
        return Segmentation(request.volume.with_voxels(labels), segments_of(tissues))


class _Steps:
    """Says what comes next and stops where the person wants it."""

    def __init__(self, report_progress: ReportProgress, is_cancelled: IsCancelled, tissues: int) -> None:
        self._report_progress = report_progress
        self._is_cancelled = is_cancelled
        self._expected = 3 + 2 * tissues
        self._done = 0

    def __call__(self, words: str) -> None:
        if self._is_cancelled():
            raise Cancelled("The expert was stopped.")
        self._report_progress(min(self._done / self._expected, 0.95), words)
        self._done += 1


def _labels(
    grid: WorkingGrid, analysis: TissueAnalysis, tissues: Sequence[Tissue], step: Callable[[str], None]
) -> Array:
    """The labelmap on the source's grid; where tissues overlap the one with the lowest value counts."""
    labels = np.zeros(grid.hounsfield.shape, np.uint8)
    for tissue in sorted(tissues, reverse=True):
        labels[analysis.mask(tissue)] = tissue
    step("writing the labelmap")
    return np.asfortranarray(grid.reorientation.to_source(grid.spread(labels)))
