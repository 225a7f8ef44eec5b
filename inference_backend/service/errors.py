"""Errors as HTTP responses: one table from code to status, one shape of body."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from inference_backend.failures import traceback_without_data
from VILAM3SlicerLib.protocol.errors import ErrorBody, VilaM3Error

log = logging.getLogger(__name__)

STATUS_OF_CODE = {
    "malformed": 400,
    "unauthorized": 401,
    "consent_needed": 403,
    "not_found": 404,
    "volume_unknown": 404,
    "image_unknown": 404,
    "result_unknown": 404,
    "turn_unknown": 404,
    "weights_unknown": 404,
    "weights_missing": 404,
    "method_not_allowed": 405,
    "in_use": 409,
    "turn_exists": 409,
    "too_large": 413,
    "wrong_host": 421,
    "invalid_request": 422,
    "no_question": 422,
    "unsupported_volume": 422,
    "hash_mismatch": 422,
    "cancelled": 499,
    "internal": 500,
    "expert_failed": 500,
    "download_failed": 502,
    "download_cut": 502,
    "download_stalled": 502,
    "checksum_mismatch": 502,
    "hub_failed": 502,
    "hub_unreachable": 502,
    "access_denied": 502,
    "rate_limited": 502,
    "wrong_revision": 502,
    "unsafe_path": 502,
    "busy": 503,
    "model_failed": 503,
    "checkpoint_unusable": 503,
    "out_of_memory": 507,
    "out_of_space": 507,
}
"""Codes that are not listed get 500."""

_CODE_OF_STATUS = {400: "malformed", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}


def error_response(error: ErrorBody, retry_after: int | None = None) -> JSONResponse:
    """The response for an error; a code of 503 may say after how many seconds to try again."""
    status = STATUS_OF_CODE.get(error.code, 500)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if status == 503 and retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return JSONResponse(error.to_json(), status, headers)


def internal_error(error: Exception) -> ErrorBody:
    """What a person is told of an error that nobody foresaw; logged without data."""
    log.error("unexpected error\n%s", traceback_without_data(error))
    return ErrorBody(
        "internal",
        f"The backend failed unexpectedly ({type(error).__name__}).",
        "Try again; if it repeats, send the backend's log to its developers.",
    )


def handle_errors(app: FastAPI, retry_after: int) -> None:
    """Give every error of the app the shape of the wire."""

    @app.exception_handler(VilaM3Error)
    async def _ours(_request: Request, error: VilaM3Error) -> JSONResponse:
        return error_response(error.body, retry_after)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        return error_response(_validation_body(error))

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> JSONResponse:
        code = _CODE_OF_STATUS.get(error.status_code, "invalid_request")
        return error_response(ErrorBody(code, f"{error.detail}."))


def _validation_body(error: RequestValidationError) -> ErrorBody:
    """Name the first field that is wrong, never its value."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return ErrorBody("malformed", "The request is not valid JSON.")
    where = ".".join(str(part) for part in first["loc"])
    return ErrorBody("invalid_request", f"{where}: {first['msg']}.", "Correct that field.")
