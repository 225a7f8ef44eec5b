"""VISTA3D, the published expert for CT of the whole body. Entry point ``vista3d``."""

from __future__ import annotations

from inference_backend.experts.vista3d.expert import Vista3d
from inference_backend.experts.weights_folder import weights_folder


def create() -> Vista3d:
    """The expert, with the weights in the weights folder, if they are there."""
    return Vista3d(weights_folder("vista3d"))
