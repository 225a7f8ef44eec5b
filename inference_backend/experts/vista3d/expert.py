"""VISTA3D: whole-body CT segmentation by class prompts, and single structures by points."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from inference_backend.conversation.model_cards import VISTA3D
from inference_backend.experts.bundle_config import bundle_version
from inference_backend.experts.hounsfield import check_ct, require_ct
from inference_backend.experts.interface import (
    Expert,
    ExpertRequest,
    IsCancelled,
    ReportProgress,
    Segment,
    Segmentation,
)
from inference_backend.experts.precision import half_precision
from inference_backend.experts.vista3d.memory import GIB, place
from inference_backend.experts.vista3d.model import INFERENCE, Vista3dModel, weights_file
from inference_backend.experts.vista3d.point_prompts import segment_at_points
from inference_backend.experts.vista3d.sliding_window import segment
from inference_backend.experts.vista3d.structures import Wanted, segments_of, structures_asked_for
from inference_backend.experts.weights import ExpertWeights, why_not
from inference_backend.imaging.orientation import closest_ras
from inference_backend.imaging.volume import Volume
from VILAM3SlicerLib.protocol.errors import Cancelled, ExpertError

if TYPE_CHECKING:
    from torch import Tensor

    from inference_backend.experts.prepared_image import PreparedImage

MARKED = 255
"""The label value of a structure that was marked by points and has no name."""

NO_CONFIGURATION = (
    f"Its weights come without {INFERENCE}, which says how scans are prepared for them (the edition "
    "MONAI/VISTA3D-HF has none). Put that file of the bundle MONAI/vista3d beside them, or fetch the whole "
    "bundle: python3 setup_backend.py weights download VISTA3D."
)


class Vista3d(Expert):
    """The published CT expert.

    The volume is turned onto the axes closest to RAS before anything else, so that the answer does not depend
    on the order in which a file happens to store its voxels; from there on it is the bundle's own workflow.
    """

    card = VISTA3D
    memory_bytes = 6 * GIB

    def __init__(
        self,
        weights: ExpertWeights,
        memory_limit: int | None = None,
        load_model: Callable[[Path, str], Vista3dModel] = Vista3dModel,
    ) -> None:
        """``weights`` is the released bundle; ``memory_limit`` bounds the device memory, in bytes."""
        self._weights = weights
        self._memory_limit = memory_limit
        self._load_model = load_model
        self._model: Vista3dModel | None = None

    @cached_property
    def version(self) -> str:
        return "" if self.unavailable_because else bundle_version(self._weights.folder())

    @property
    def unavailable_because(self) -> str:
        if reason := why_not(self._weights):
            return reason
        folder = self._weights.folder()
        if weights_file(folder) is None:
            return "Its folder holds no weights. Fetch them again."
        return "" if (folder / INFERENCE).is_file() else NO_CONFIGURATION

    def check(self, request: ExpertRequest) -> None:
        structures_asked_for(request.arguments)
        check_ct(request.volume, request.modality)

    def load(self, device: str) -> None:
        self._model = self._load_model(self._weights.folder(), device)

    def unload(self) -> None:
        self._model = None

    def run(
        self, request: ExpertRequest, report_progress: ReportProgress, is_cancelled: IsCancelled
    ) -> Segmentation:
        """Segment what the argument asks for and the points mark, see ``interface.Expert.run``."""
        assert self._model is not None, "run before load"
        wanted = structures_asked_for(request.arguments)
        return _Run(self._model, request, self._memory_limit, report_progress, is_cancelled).result(wanted)


class _Run:
    """One request on a loaded model."""

    def __init__(
        self,
        model: Vista3dModel,
        request: ExpertRequest,
        memory_limit: int | None,
        report_progress: ReportProgress,
        is_cancelled: IsCancelled,
    ) -> None:
        self._model = model
        self._request = request
        self._memory_limit = memory_limit
        self._report_progress = report_progress
        self._is_cancelled = is_cancelled

    def result(self, wanted: Wanted) -> Segmentation:
        self._step(0.0, "checking the scan")
        source = self._request.volume
        turned, reorientation = closest_ras(source)
        checked = turned.with_voxels(require_ct(turned))
        self._step(0.02, "resampling the scan")
        prepared = self._prepared(checked)
        found, segments = self._segmented(prepared, wanted)
        self._step(0.97, "bringing the result onto the scan's grid")
        on_source = reorientation.to_source(prepared.labels_on_source(found))
        present = set(np.unique(on_source).tolist())
        kept = [segment for segment in segments if wanted.is_named or present & set(segment.label_values)]
        return Segmentation(source.with_voxels(np.asfortranarray(on_source)), tuple(kept))

    def _prepared(self, volume: Volume) -> PreparedImage:
        prepared = self._model.prepare(volume)
        if 0 in prepared.tensor.shape:
            raise ExpertError("The scan shows no tissue.", "Choose a CT that shows a body.")
        return prepared

    def _segmented(self, prepared: PreparedImage, wanted: Wanted) -> tuple[Tensor, tuple[Segment, ...]]:
        """Labels on the prepared grid, and the segments that they may hold."""
        model, points = self._model, self._request.points
        labels = model.everything if wanted.prompts is None else model.expanded(wanted.prompts)
        if points and wanted.marked not in labels:
            self._step(0.1, "segmenting what the points mark")
            found, _ = segment_at_points(prepared, points, None, model)
            return found * MARKED, (Segment("structure at the points", (MARKED,)),)
        automatic = self._by_class(prepared, labels)
        if points and wanted.marked:
            self._step(0.9, "correcting it by the points")
            found, searched = segment_at_points(prepared, points, wanted.marked, model)
            automatic[searched & (automatic == wanted.marked)] = 0
            automatic[searched & found] = wanted.marked
        return automatic, segments_of(labels)

    def _by_class(self, prepared: PreparedImage, labels: tuple[int, ...]) -> Tensor:
        image = prepared.tensor.as_tensor()[0]
        windows = self._model.windows
        network = self._model.class_prompted
        placement = place(tuple(image.shape), windows.size, self._model.device, self._memory_limit)
        with half_precision(self._model.device):
            return segment(
                image, labels, network, windows, placement=placement, after_batch=self._after_batch
            )

    def _after_batch(self, done: int, total: int) -> None:
        self._step(0.05 + 0.85 * done / total, f"segmenting, part {done + 1} of {total}")

    def _step(self, fraction: float, words: str) -> None:
        if self._is_cancelled():
            raise Cancelled("The expert was stopped.")
        self._report_progress(fraction, words)
