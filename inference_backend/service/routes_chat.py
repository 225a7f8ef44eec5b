"""Asking, reading again, stopping."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from inference_backend.service.chat_request import read_turn
from inference_backend.service.chunks import completion, event_stream, outcome
from inference_backend.service.context import ServiceContext
from inference_backend.service.errors import error_response
from inference_backend.service.schemas import ChatChunk, ChatCompletion, ChatRequest, Model, ModelList
from inference_backend.service.turn_log import TurnLog
from VILAM3SlicerLib.protocol.errors import ErrorBody

_STREAM: dict[str, Any] = {
    "description": "The answer; with `stream` as server-sent events, each of whose data is a ChatChunk.",
    "content": {"text/event-stream": {"schema": {"$ref": "#/components/schemas/ChatChunk"}}},
}
_NO_BUFFERING = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def chat_routes(context: ServiceContext) -> APIRouter:
    """The routes of OpenAI's convention and the turns' own."""
    router = APIRouter(prefix="/v1", tags=["chat"])

    @router.get("/models")
    async def list_models() -> ModelList:
        """The one model that is served, in OpenAI's form."""
        return ModelList(data=[Model(id=context.model_name)] if context.model.readiness == "ready" else [])

    @router.post("/chat/completions", response_model=ChatCompletion, responses={200: _STREAM})
    async def ask(body: ChatRequest, request: Request) -> Response:
        """Ask a question: the whole conversation, newest message last."""
        turn = await asyncio.to_thread(read_turn, body, context.images, context.settings.limits)
        if turn.context.volume is not None:
            context.store.volumes.path(turn.context.volume)  # raises NotFound
        log = context.turns.begin(turn)
        if body.stream:
            return _stream(context, log, 0)
        return await _complete(context, log, request)

    @router.get("/turns/{turn_id}/events", response_class=StreamingResponse, responses={200: _STREAM})
    async def read_events(turn_id: str, after: Annotated[int, Query(ge=0)] = 0) -> StreamingResponse:
        """Read a turn's events again from `after` on, and those to come."""
        return _stream(context, context.turns.log(turn_id), after)

    @router.post("/turns/{turn_id}/cancel", status_code=202)
    async def cancel(turn_id: str) -> dict[str, str]:
        """Stop a turn; what had been said stays."""
        context.turns.cancel(turn_id)
        return {"turn_id": turn_id}

    return router


def describe_chunks(schema: dict[str, Any]) -> None:
    """Add the schema of a stream's chunks, which no route returns as a body, to an OpenAPI document."""
    chunk = ChatChunk.model_json_schema(ref_template="#/components/schemas/{model}")
    components = schema["components"]["schemas"]
    components.update(chunk.pop("$defs"))
    components["ChatChunk"] = chunk


def _stream(context: ServiceContext, log: TurnLog, after: int) -> StreamingResponse:
    stream = event_stream(log, context.model_name, after, context.settings.clocks.heartbeat)
    return StreamingResponse(stream, media_type="text/event-stream", headers=_NO_BUFFERING)


async def _complete(context: ServiceContext, log: TurnLog, request: Request) -> JSONResponse:
    """Wait for the end of the turn; a client that went away stops waiting, not the turn."""
    async for _ in log.read(silence=1.0):
        if await request.is_disconnected():
            return error_response(ErrorBody("cancelled", "The client went away."))
    end = outcome(log)
    if isinstance(end, ErrorBody):
        return error_response(end, context.settings.clocks.retry_after)
    return JSONResponse(completion(end, log))
