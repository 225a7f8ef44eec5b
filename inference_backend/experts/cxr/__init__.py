"""The published chest X-ray expert: eight TorchXRayVision models. Entry point ``cxr``."""

from __future__ import annotations

from inference_backend.experts.cxr.expert import Cxr
from inference_backend.experts.weights import WeightsOfCatalogue


def create() -> Cxr:
    """The expert, with the weights that were fetched and converted, if they were."""
    return Cxr(WeightsOfCatalogue("CXR"))
