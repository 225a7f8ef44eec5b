"""BraTS, the published expert for brain tumours on four MRI sequences. Entry point ``brats``."""

from __future__ import annotations

from inference_backend.experts.brats.expert import Brats
from inference_backend.experts.weights import WeightsOfCatalogue


def create() -> Brats:
    """The expert, with the weights that were fetched, if they were."""
    return Brats(WeightsOfCatalogue("BRATS"))
