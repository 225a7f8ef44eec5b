"""What answers here, and whether it is ready."""

from __future__ import annotations

from fastapi import APIRouter

from inference_backend.service.context import ServiceContext
from inference_backend.service.schemas import Health
from VILAM3SlicerLib.protocol import PROTOCOL_VERSION
from VILAM3SlicerLib.protocol.errors import ModelError
from VILAM3SlicerLib.protocol.messages import BackendStatus, ModelDescription


def status_routes(context: ServiceContext) -> APIRouter:
    """Health without the key, the handshake with it."""
    router = APIRouter(tags=["status"])

    @router.get("/healthz")
    async def healthz() -> Health:
        """The service answers, also while the model loads."""
        return Health()

    @router.get("/v1/status")
    async def status() -> BackendStatus:
        """The handshake: protocol, model, readiness, experts, limits."""
        limits = context.settings.limits
        return BackendStatus(
            protocol_version=PROTOCOL_VERSION,
            readiness=context.model.readiness,
            detail=context.model.detail or context.experts.detail,
            model=_description(context),
            experts=tuple(context.experts.descriptions()),
            max_volume_bytes=min(context.store.limits.one_volume, limits.volume_body_bytes),
            max_prompt_characters=limits.prompt_characters,
        )

    return router


def _description(context: ServiceContext) -> ModelDescription | None:
    try:
        return context.model.description
    except ModelError:
        return None
