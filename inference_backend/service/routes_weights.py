"""Weights for a settings page: what there is, its licence, download, check, removal.

Plain functions, which run in FastAPI's threads: they read the disk, and the licences come over the network.
No route takes a path or an address from the client.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from inference_backend.service.context import ServiceContext
from inference_backend.service.schemas import ConversionConsent, LicenceConsent
from VILAM3SlicerLib.protocol.errors import ModelError, VilaM3Error
from VILAM3SlicerLib.protocol.weights import LicenceText, Removed, WeightsJob, WeightsList


def weights_routes(context: ServiceContext) -> APIRouter:
    """The routes of the weights; a name is an ``id`` of the list, in any case."""
    router = APIRouter(prefix="/v1/weights", tags=["weights"])
    weights = context.weights

    @router.get("")
    def list_weights() -> WeightsList:
        """The catalogue: sizes, licences, memory, and what is here."""
        return weights.list()

    @router.get("/{name}/licences")
    def licences(name: str) -> Sequence[LicenceText]:
        """The texts that a person has to accept before a download; empty where none is needed."""
        return weights.licences(name)

    @router.post("/{name}/download", status_code=202)
    def download(name: str, consent: LicenceConsent) -> WeightsJob:
        """Begin to fetch what is missing; a model is used from the next start of the backend on."""
        return weights.download(name, consent.accepted, consent.accepted_by)

    @router.post("/{name}/convert", status_code=202)
    def convert(name: str, consent: ConversionConsent) -> WeightsJob:
        """Begin to turn released Python pickles into plain tensors; used from the next start on."""
        return weights.convert(name, consent.agreed)

    @router.post("/{name}/verify", status_code=202)
    def verify(name: str) -> WeightsJob:
        """Begin to compare the files with what they were when they were fetched."""
        return weights.verify(name)

    @router.get("/{name}/job")
    def job(name: str) -> WeightsJob:
        """How far the download or check is, or how it ended."""
        return weights.job(name)

    @router.delete("/{name}/job")
    def cancel(name: str) -> WeightsJob:
        """Stop it; a download goes on from there when it is started again."""
        return weights.cancel(name)

    @router.delete("/{name}")
    def remove(name: str) -> Removed:
        """Delete weights that are not in use."""
        _require_unused(context, name)
        return weights.remove(name)

    return router


def _require_unused(context: ServiceContext, name: str) -> None:
    """Raises VilaM3Error for the weights of the model that answers, or may be about to."""
    if name.lower() not in _models(context):
        return
    try:
        described = context.model.description
        used = "demo" if described.is_demo else described.name
    except ModelError:
        used = name if context.model.readiness == "loading" else ""
    if name.lower() == used.lower():
        raise VilaM3Error(
            f"{name} is the model that answers here.", "Start the backend with another one first.", "in_use"
        )


def _models(context: ServiceContext) -> set[str]:
    return {one.id.lower() for one in context.weights.list().weights if one.kind != "expert"}
