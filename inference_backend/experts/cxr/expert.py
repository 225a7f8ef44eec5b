"""CXR: eighteen findings on a chest X-ray with their probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from inference_backend.conversation.model_cards import CXR
from inference_backend.experts.cxr.ensemble import (
    FINDINGS,
    MEMBERS,
    Ensemble,
    converted_file,
    load_ensemble,
)
from inference_backend.experts.cxr.heat_map import activation_maps, pixels_of_map, shown
from inference_backend.experts.cxr.image import Radiograph, check_radiograph, read_radiograph
from inference_backend.experts.interface import (
    Expert,
    ExpertRequest,
    FindingHeat,
    Findings,
    IsCancelled,
    ReportProgress,
)
from inference_backend.experts.weights import ExpertWeights, why_not
from inference_backend.imaging.volume import Array
from VILAM3SlicerLib.protocol.errors import Cancelled
from VILAM3SlicerLib.protocol.events import Finding


class Cxr(Expert):
    """The published X-ray expert.

    A model that was not trained on a finding has no vote on it; ``as_published`` gives it the published
    vote, a constant 0.5.
    """

    card = CXR
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
    def version(self) -> str:
        return "torchxrayvision v1" + (", published vote" if self._as_published else "")

    @property
    def unavailable_because(self) -> str:
        reason = why_not(self._weights)
        if not reason and why_not(self._weights, *(converted_file(name) for name in MEMBERS)):
            reason = (
                "Its weights are Python pickles and have to be converted once: "
                "setup_backend.py weights convert CXR"
            )
        return reason

    def check(self, request: ExpertRequest) -> None:
        check_radiograph(request.volume, request.modality, request.stored_range)

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
        radiograph = read_radiograph(request.volume, request.modality, request.stored_range)
        pictures = ensemble.pictures(radiograph.pixels)
        outputs, features = {}, {}
        for number, member in enumerate(ensemble.members):
            if is_cancelled():
                raise Cancelled("The expert was stopped.")
            report_progress(number / len(ensemble.members), f"model {number + 1} of {len(ensemble.members)}")
            with torch.no_grad():
                outputs[member.name], features[member.name] = member.look(pictures[member.resolution])
        votes = ensemble.vote(outputs, self._as_published)
        findings = tuple(Finding(_told(name), votes[name]) for name in sorted(votes))
        return Findings(findings, tuple(self._heat_maps(ensemble, radiograph, features)))

    def _heat_maps(
        self, ensemble: Ensemble, radiograph: Radiograph, features: Mapping[str, Any]
    ) -> Iterator[FindingHeat]:
        """A map for each finding that anything speaks for, by one of the models that vote on it."""
        chosen: dict[str, list[int]] = {}
        for place in range(len(FINDINGS)):
            member = ensemble.looked_at_by(place, self._as_published)
            if member is not None:
                chosen.setdefault(member.name, []).append(place)
        for member in ensemble.members:
            places = chosen.get(member.name, [])
            if places:
                raw = activation_maps(member, features[member.name], places)
                yield from _drawn(member.name, places, raw, radiograph)

    def _loaded(self) -> Ensemble:
        assert self._ensemble is not None, "run before load"
        return self._ensemble


def _drawn(source: str, places: Sequence[int], raw: Array, radiograph: Radiograph) -> Iterator[FindingHeat]:
    for place, one in zip(places, raw, strict=True):
        strength = shown(one)
        if strength is not None:
            matrix = pixels_of_map(radiograph.pixel_to_ras, len(radiograph.pixels), len(strength))
            yield FindingHeat(_told(FINDINGS[place]), strength, matrix, source)


def _told(name: str) -> str:
    """A finding as the published system tells it."""
    return name.lower().replace("_", " ")
