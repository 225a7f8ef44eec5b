"""The published chest X-ray expert: eight TorchXRayVision models. Entry point ``cxr``."""

from __future__ import annotations

import os

from inference_backend.experts.cxr.expert import Cxr
from inference_backend.experts.weights import WeightsOfCatalogue
from VILAM3SlicerLib.protocol.errors import InvalidRequest

VOTE_VARIABLE = "VILAM3_CXR_VOTE"
"""``known``: a model votes on what it was trained on. ``published``: as the published system counts."""


def create() -> Cxr:
    """The expert, with the weights that were fetched and converted, if they were.

    Raises:
        InvalidRequest: the variable has a value that is not known.
    """
    vote = os.environ.get(VOTE_VARIABLE) or "known"
    if vote not in ("known", "published"):
        raise InvalidRequest(f"{VOTE_VARIABLE} is '{vote}'.", "Set it to known or published.")
    return Cxr(WeightsOfCatalogue("CXR"), as_published=vote == "published")
