"""VISTA3D, the published expert for CT of the whole body. Entry point ``vista3d``."""

from __future__ import annotations

from inference_backend.experts.vista3d.expert import Vista3d
from inference_backend.experts.weights import WeightsOfCatalogue


def create() -> Vista3d:
    """The expert, with the weights that were fetched, if they were."""
    return Vista3d(WeightsOfCatalogue("VISTA3D"))
