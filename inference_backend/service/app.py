"""The application: its parts put together, its life from start to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from inference_backend.service.backend import Converse, ManagedExperts, ManagedModel, ManagedWeights
from inference_backend.service.context import ServiceContext
from inference_backend.service.errors import handle_errors
from inference_backend.service.getting_ready import getting_ready
from inference_backend.service.guards import Guards
from inference_backend.service.images import ImageReader
from inference_backend.service.routes_chat import chat_routes, describe_chunks
from inference_backend.service.routes_status import status_routes
from inference_backend.service.routes_store import store_routes
from inference_backend.service.routes_weights import weights_routes
from inference_backend.service.schemas import ErrorResponse
from inference_backend.service.settings import ServiceSettings
from inference_backend.service.turns import Turns
from inference_backend.store.store import Store
from VILAM3SlicerLib.protocol import PROTOCOL_VERSION

_ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorResponse, "description": "The request cannot be served; the body says why."},
    "5XX": {"model": ErrorResponse, "description": "The backend could not do it; the body says why."},
}


def create_app(
    settings: ServiceSettings,
    store: Store,
    model: ManagedModel,
    experts: ManagedExperts,
    converse: Converse,
    *,
    weights: ManagedWeights,
) -> FastAPI:
    """The service with its collaborators; it starts and stops the model and the experts."""
    turns = Turns(
        converse, getting_ready(model, experts), store.volumes.using, settings.limits, settings.clocks
    )
    images = ImageReader(store, settings.limits)
    context = ServiceContext(settings, store, model, experts, images, turns, weights)
    app = FastAPI(
        title="VILAM3Slicer backend",
        version=str(PROTOCOL_VERSION),
        description="Chat with a scan. For research and teaching, not for diagnosis.",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan(context),
        responses=_ERRORS,
    )
    app.include_router(status_routes(context))
    app.include_router(chat_routes(context))
    app.include_router(store_routes(context))
    app.include_router(weights_routes(context))
    handle_errors(app, settings.clocks.retry_after)
    app.add_middleware(Guards, settings=settings)
    _complete_openapi(app)
    return app


def _lifespan(context: ServiceContext) -> Any:
    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        await context.model.start()
        await context.experts.start()
        watching = asyncio.create_task(context.turns.watch())
        try:
            yield
        finally:
            watching.cancel()
            await context.turns.close()
            ending = asyncio.to_thread(context.weights.close)
            await asyncio.gather(context.model.stop(), context.experts.stop(), ending)

    return life


def _complete_openapi(app: FastAPI) -> None:
    """Describe what FastAPI cannot know: the stream's chunks and the key."""
    plain: Callable[[], dict[str, Any]] = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = plain()
            describe_chunks(schema)
            schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            schema["security"] = [{"key": []}]
            schema["paths"]["/healthz"]["get"]["security"] = []
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
