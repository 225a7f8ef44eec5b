"""BraTS: whole tumour, tumour core and enhancing tumour on T1c, T1, T2 and FLAIR."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inference_backend.conversation import wording
from inference_backend.conversation.model_cards import BRATS
from inference_backend.experts.brats.study import Study, find_sequences, read_study
from inference_backend.experts.bundle_config import BundleConfig, bundle_version
from inference_backend.experts.interface import (
    Expert,
    ExpertRequest,
    IsCancelled,
    ReportProgress,
    Segment,
    Segmentation,
)
from inference_backend.experts.modality import require_modality
from inference_backend.experts.precision import half_precision
from inference_backend.experts.prepared_image import prepare
from inference_backend.experts.state_dict import fill, read_state_dict
from inference_backend.experts.weights import ExpertWeights, why_not
from inference_backend.imaging.overlay import ColouredLabel
from VILAM3SlicerLib.protocol.errors import Cancelled

INFERENCE = "configs/inference.json"
METADATA = "configs/metadata.json"
WEIGHTS = "models/model.pt"

TUMOUR_CORE, OEDEMA, ENHANCING = 1, 2, 4
"""Label values of the BraTS data; the core without its enhancing part has 1."""

_GIB = 1024**3

SEGMENTS = (
    Segment("whole tumor", (TUMOUR_CORE, OEDEMA, ENHANCING), "mass"),
    Segment("tumor core", (TUMOUR_CORE, ENHANCING), "mass"),
    Segment("enhancing tumor", (ENHANCING,), "mass"),
)
"""Nested: each lies in the one before."""


class Brats(Expert):
    """The published MRI expert."""

    card = BRATS
    memory_bytes = 4 * _GIB

    def __init__(self, weights: ExpertWeights) -> None:
        """``weights`` is the released bundle ``brats_mri_segmentation``."""
        self._weights = weights
        self._model: _Model | None = None

    @cached_property
    def version(self) -> str:
        return "" if self.unavailable_because else bundle_version(self._weights.folder())

    @property
    def unavailable_because(self) -> str:
        return why_not(self._weights, INFERENCE, METADATA, WEIGHTS)

    def check(self, request: ExpertRequest) -> None:
        require_modality(request.modality, "MRI", "an MRI", "an MRI of a brain")
        find_sequences(request.sequences)

    def load(self, device: str) -> None:
        self._model = _Model(self._weights.folder(), device)

    def unload(self) -> None:
        self._model = None

    def run(
        self, request: ExpertRequest, report_progress: ReportProgress, is_cancelled: IsCancelled
    ) -> Segmentation:
        """Segment the tumour on the sequences of the request, see ``interface.Expert.run``."""
        assert self._model is not None, "run before load"

        def step(fraction: float, words: str) -> None:
            if is_cancelled():
                raise Cancelled("The expert was stopped.")
            report_progress(fraction, words)

        step(0.0, "checking the four sequences")
        study = read_study(request.sequences, request.volume)
        labels = self._model.labels(study, step)
        step(0.97, "bringing the result onto the scan's grid")
        labelmap = study.source.with_voxels(np.asfortranarray(study.on_source(labels)))
        return Segmentation(labelmap, SEGMENTS, study.notes, tumour_told)


def tumour_told(coloured: tuple[ColouredLabel, ...]) -> str:
    """An overlay of BraTS labels in the published words."""
    return wording.tumour_result({label.label: label.colour for label in coloured})


class _Model:
    """A loaded bundle."""

    def __init__(self, folder: Path, device: str) -> None:
        from monai.networks.nets import SegResNet

        self._config = BundleConfig.read(folder / INFERENCE)
        self._device = device
        options = self._config.options("network_def", "SegResNet")
        network = SegResNet(**options)
        fill(network, read_state_dict(folder / WEIGHTS), WEIGHTS)
        self._network = network.to(device).eval().requires_grad_(False)

    def labels(self, study: Study, step: Any) -> npt.NDArray[np.uint8]:
        """The published label values on the study's working grid."""
        import torch
        from monai.inferers import SlidingWindowInferer

        step(0.05, "normalizing the sequences")
        prepared = prepare(study.channels, study.ijk_to_ras, self._config, "preprocessing", self._device)
        windows = SlidingWindowInferer(**self._config.options("inferer", "SlidingWindowInferer"))
        parts = _counted(step)

        def network(batch: Any) -> Any:
            next(parts)
            return self._network(batch)

        with torch.no_grad(), half_precision(self._device):
            logits = windows(prepared.tensor.as_tensor()[None], network)[0].float()
        core, whole, enhancing = torch.sigmoid(logits) > self._threshold()
        labels = torch.where(enhancing, ENHANCING, torch.where(core, TUMOUR_CORE, whole * OEDEMA))
        result: npt.NDArray[np.uint8] = labels.to(torch.uint8).cpu().numpy()
        return result

    def _threshold(self) -> float:
        (step,) = self._config.steps("postprocessing", "AsDiscreted")
        return float(step["threshold"])


def _counted(step: Any) -> Iterator[None]:
    """Report a part each time the network is asked; how many there will be is not known here."""
    number = 0
    while True:
        number += 1
        step(0.1 + 0.85 * (1 - 0.8**number), f"segmenting, part {number}")
        yield
