"""VISTA3D, the published expert for CT of the whole body. Entry point ``vista3d``."""

from __future__ import annotations

import os

from inference_backend.experts.vista3d.expert import Vista3d
from inference_backend.experts.weights import WeightsOfCatalogue
from VILAM3SlicerLib.protocol.errors import InvalidRequest

MEMORY_VARIABLE = "VILAM3_VISTA3D_GB"
"""The environment variable that bounds the expert's device memory, in GB; without it, what is free."""


def create() -> Vista3d:
    """The expert, with the weights that were fetched, if they were.

    Raises:
        InvalidRequest: the memory in ``MEMORY_VARIABLE`` is no positive number.
    """
    return Vista3d(WeightsOfCatalogue("VISTA3D"), _memory_limit(os.environ.get(MEMORY_VARIABLE, "")))


def _memory_limit(text: str) -> int | None:
    if not text.strip():
        return None
    try:
        size = float(text)
    except ValueError:
        size = 0.0
    if not 0 < size < 1e6:
        raise InvalidRequest(
            f"{MEMORY_VARIABLE}={text} is no number of gigabytes.", "Set it to one, such as 8, or unset it."
        )
    return round(size * 1e9)
