"""Waiting for the model and the experts in front of a turn."""

from __future__ import annotations

from inference_backend.service.backend import ManagedExperts, ManagedModel
from inference_backend.service.turns import GetReady, Publish
from VILAM3SlicerLib.protocol.errors import VilaM3Error
from VILAM3SlicerLib.protocol.events import Notice


def getting_ready(model: ManagedModel, experts: ManagedExperts) -> GetReady:
    """What a turn waits for; without experts it goes on, without a model it cannot."""

    async def get_ready(publish: Publish) -> None:
        if model.readiness == "loading":
            publish(Notice("model_loading", "The model is being loaded; the answer follows."))
        await model.until_ready()
        try:
            await experts.until_ready()
        except VilaM3Error as error:
            publish(Notice("experts_failed", f"No expert can be asked: {error.message}"))

    return get_ready
