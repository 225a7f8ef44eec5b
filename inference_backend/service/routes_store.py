"""Volumes in, images and results out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, Response

from inference_backend.service.context import ServiceContext
from VILAM3SlicerLib.protocol.errors import NotFound

VolumeHash = Annotated[str, PathParameter(pattern="^[0-9a-f]{64}$")]
ImageHash = Annotated[str, PathParameter(pattern="^[0-9a-f]{64}$")]
ResultId = Annotated[str, PathParameter(pattern="^[0-9a-f]{32}$")]

NRRD = "application/x-nrrd"
_WRITE_AT_ONCE = 4 * 1024**2
_NRRD_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A 3D scalar NRRD, raw or gzip encoding.",
        "content": {NRRD: {"schema": {"type": "string", "format": "binary"}}},
    }
}


def _file(media_type: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {media_type: {"schema": {"type": "string", "format": "binary"}}}}}


def store_routes(context: ServiceContext) -> APIRouter:
    """The routes of what the service keeps on disk."""
    router = APIRouter(prefix="/v1", tags=["store"])
    store = context.store

    @router.put(
        "/volumes/{volume_hash}",
        openapi_extra=_NRRD_BODY,
        status_code=201,
        response_class=Response,
        responses={200: {"description": "It was here already."}},
    )
    async def put_volume(volume_hash: VolumeHash, request: Request) -> Response:
        """Send a volume; its content must be what the hash names."""
        if volume_hash in store.volumes:
            await _drain(request.stream())
            return Response(status_code=200)
        with store.volumes.incoming() as incoming:
            await _write(request.stream(), incoming)
            is_new = await asyncio.to_thread(store.keep_volume, volume_hash, incoming)
        return Response(status_code=201 if is_new else 200)

    @router.head("/volumes/{volume_hash}", response_class=Response)
    async def has_volume(volume_hash: VolumeHash) -> Response:
        """Whether a volume is here: 200 or 404."""
        return Response(status_code=200 if volume_hash in store.volumes else 404)

    @router.delete("/volumes/{volume_hash}", status_code=204, response_class=Response)
    async def delete_volume(volume_hash: VolumeHash) -> Response:
        """Forget a volume."""
        store.volumes.delete(volume_hash)
        return Response(status_code=204)

    @router.get("/images/{image_hash}", response_class=FileResponse, responses=_file("image/png"))
    async def get_image(image_hash: ImageHash) -> FileResponse:
        """An image that was sent, that the model saw, or that showed it a result."""
        return FileResponse(_existing(store.images.path(image_hash)), media_type="image/png")

    @router.get("/results/{result_id}", response_class=FileResponse, responses=_file(NRRD))
    async def get_result(result_id: ResultId) -> FileResponse:
        """A labelmap on the volume's own grid, NRRD with gzip encoding."""
        return FileResponse(_existing(store.results.path(result_id)), media_type=NRRD)

    @router.delete("/results/{result_id}", status_code=204, response_class=Response)
    async def delete_result(result_id: ResultId) -> Response:
        """Forget a result."""
        store.results.delete(result_id)
        return Response(status_code=204)

    return router


async def _drain(pieces: AsyncIterable[bytes]) -> None:
    """Take a body that is not needed, so that the client can read the response."""
    async for _ in pieces:
        pass


async def _write(pieces: AsyncIterable[bytes], incoming: Path) -> None:
    """Write a body to a file, some megabytes at a time, away from the event loop."""
    buffer = bytearray()
    with incoming.open("wb") as file:
        async for piece in pieces:
            buffer += piece
            if len(buffer) >= _WRITE_AT_ONCE:
                await asyncio.to_thread(file.write, bytes(buffer))
                buffer.clear()
        await asyncio.to_thread(file.write, bytes(buffer))


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise NotFound("The file is gone from the backend's store.", "Send it again, or ask again.")
    return path
