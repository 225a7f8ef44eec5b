"""CXR: eighteen findings on a chest X-ray with their probabilities."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from inference_backend.conversation.model_cards import CXR
from inference_backend.experts.cxr.ensemble import (
    FINDINGS,
    MEMBERS,
    RESNET,
    Ensemble,
    Member,
    converted_file,
    load_ensemble,
)
from inference_backend.experts.cxr.image import radiograph
from inference_backend.experts.interface import Expert, ExpertRequest, Findings, IsCancelled, ReportProgress
from inference_backend.experts.weights import ExpertWeights, why_not
from inference_backend.imaging.volume import Array
from VILAM3SlicerLib.protocol.errors import Cancelled, InvalidRequest
from VILAM3SlicerLib.protocol.events import Finding

_LAST_FEATURES = "features.denseblock4"
"""The layer of a DenseNet whose activations a heat map shows."""


class Cxr(Expert):
    """The published X-ray expert.

    A model that was not trained on a finding has no vote on it; ``as_published`` gives it the published
    vote, a constant 0.5.
    """

    card = CXR
    version = "torchxrayvision v1"
    memory_bytes = 1_500_000_000

    def __init__(
        self,
        weights: ExpertWeights,
        as_published: bool = False,
        load_models: Callable[[Path, str], Ensemble] = load_ensemble,
    ) -> None:
        self._weights = weights
        self._load_models = load_models
        self._as_published = as_published
        self._ensemble: Ensemble | None = None

    @property
    def unavailable_because(self) -> str:
        reason = why_not(self._weights)
        if not reason and why_not(self._weights, *(converted_file(name) for name in MEMBERS)):
            reason = (
                "Its weights are Python pickles and have to be converted once: "
                f"python -m inference_backend.experts.cxr.convert {self._weights.folder()}"
            )
        return reason

    def load(self, device: str) -> None:
        self._ensemble = self._load_models(self._weights.folder(), device)

    def unload(self) -> None:
        self._ensemble = None

    def run(
        self, request: ExpertRequest, report_progress: ReportProgress, is_cancelled: IsCancelled
    ) -> Findings:
        """Look at the radiograph with all models, see ``interface.Expert.run``."""
        import torch

        ensemble = self._loaded()
        image = ensemble.tensor(radiograph(request.volume))
        outputs = {}
        for number, member in enumerate(ensemble.members):
            if is_cancelled():
                raise Cancelled("The expert was stopped.")
            report_progress(number / len(ensemble.members), f"model {number + 1} of {len(ensemble.members)}")
            with torch.no_grad():
                outputs[member.name] = member.probabilities(image)
        votes = ensemble.vote(outputs, self._as_published)
        return Findings(tuple(Finding(_told(name), votes[name]) for name in sorted(votes)))

    def heat_map(self, request: ExpertRequest, finding: str) -> Array:
        """Where the broadest model sees a finding: Grad-CAM, 0 to 1, on the square in the image's middle.

        Raises:
            InvalidRequest: no such finding.
        """
        from monai.visualize import GradCAM

        ensemble = self._loaded()
        names = [_told(name) for name in FINDINGS]
        if finding not in names:
            raise InvalidRequest(
                f"CXR knows no finding '{finding}'.", f"It knows {', '.join(sorted(names))}."
            )
        image = ensemble.tensor(radiograph(request.volume))
        member = _broadest(ensemble)
        member.network.requires_grad_(True)
        cam = GradCAM(member.network, _LAST_FEATURES)(member.resized(image), class_idx=names.index(finding))
        member.network.requires_grad_(False)
        side = image.shape[-1]
        return _enlarged(np.asarray(cam.detach().cpu())[0, 0], side)

    def _loaded(self) -> Ensemble:
        assert self._ensemble is not None, "run before load"
        return self._ensemble


def _broadest(ensemble: Ensemble) -> Member:
    densenets = [member for member in ensemble.members if member.name != RESNET]
    return max(densenets, key=lambda member: sum(map(bool, member.labels)))


def _enlarged(heat: Array, side: int) -> Array:
    """Heat, 1 where it is highest, at the image's own size."""
    from skimage.transform import resize

    strength = 1 - heat if heat.min() < 0 else heat
    enlarged: Array = resize(strength, (side, side), order=1)
    return enlarged.clip(0, 1).astype(np.float32)


def _told(name: str) -> str:
    """A finding as the published system tells it."""
    return name.lower().replace("_", " ")
