"""What the routes work with."""

from __future__ import annotations

from dataclasses import dataclass

from inference_backend.service.backend import ManagedExperts, ManagedModel, ManagedWeights
from inference_backend.service.images import ImageReader
from inference_backend.service.settings import ServiceSettings
from inference_backend.service.turns import Turns
from inference_backend.store.store import Store
from VILAM3SlicerLib.protocol.errors import ModelError


@dataclass(frozen=True)
class ServiceContext:
    """The collaborators of all routes."""

    settings: ServiceSettings
    store: Store
    model: ManagedModel
    experts: ManagedExperts
    images: ImageReader
    turns: Turns
    weights: ManagedWeights

    @property
    def model_name(self) -> str:
        """The model's name, or what stands for it until it is known."""
        try:
            return self.model.description.name
        except ModelError:
            return "vila-m3"
