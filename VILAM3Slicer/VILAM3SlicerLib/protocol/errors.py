"""The one exception tree of VILAM3Slicer.

    VilaM3Error
    ├── InvalidRequest        what was asked is not well formed
    │   ├── UnsupportedVolume     empty, 4D, colour, or not an image
    │   ├── TooLarge              beyond a limit that the message names
    │   └── HashMismatch          the bytes are not those that the hash names
    ├── Unauthorized          key missing or wrong
    ├── NotFound              no such volume, image, result or turn
    ├── Busy                  the queue is full
    ├── OutOfSpace            no room on the disk
    ├── ModelError            the language model is not there or failed
    │   └── CheckpointError       a checkpoint folder that cannot be used
    ├── ExpertError           an expert cannot run or failed
    ├── Cancelled             stopped by the person, or because nobody read the answer
    ├── ConnectionLost        the backend cannot be reached
    └── SceneError            the scene has not what was asked for

Every error has a code for programs, a message fit to show to a person and a hint that says what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class ErrorBody:
    """An error on the wire: ``{"error": {"code", "message", "hint"}}``."""

    code: str
    message: str
    hint: str = ""

    def to_json(self) -> dict[str, dict[str, str]]:
        """The body of an error response."""
        return {"error": asdict(self)}


class VilaM3Error(Exception):
    """Base of all errors; ``code`` may be narrowed by the one who raises."""

    code = "internal"

    def __init__(self, message: str, hint: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code

    @property
    def body(self) -> ErrorBody:
        """The error as it goes over the wire."""
        return ErrorBody(self.code, self.message, self.hint)

    def __reduce__(self) -> tuple[type[VilaM3Error], tuple[str, str, str]]:
        return type(self), (self.message, self.hint, self.code)


class InvalidRequest(VilaM3Error):
    code = "invalid_request"


class UnsupportedVolume(InvalidRequest):
    code = "unsupported_volume"


class TooLarge(InvalidRequest):
    code = "too_large"


class HashMismatch(InvalidRequest):
    code = "hash_mismatch"


class Unauthorized(VilaM3Error):
    code = "unauthorized"


class NotFound(VilaM3Error):
    code = "not_found"


class Busy(VilaM3Error):
    code = "busy"


class OutOfSpace(VilaM3Error):
    code = "out_of_space"


class ModelError(VilaM3Error):
    code = "model_failed"


class CheckpointError(ModelError):
    code = "checkpoint_unusable"


class ExpertError(VilaM3Error):
    code = "expert_failed"


class Cancelled(VilaM3Error):
    code = "cancelled"


class ConnectionLost(VilaM3Error):
    code = "connection_lost"


class SceneError(VilaM3Error):
    code = "scene"


def error_from_json(body: Mapping[str, object]) -> VilaM3Error:
    """Rebuild the error of an error response; an unknown code or shape becomes a plain ``VilaM3Error``."""
    error = body.get("error")
    if not isinstance(error, Mapping):
        return VilaM3Error("The backend answered with something that is not an error message.")
    message = str(error.get("message") or "The backend reported an error without a message.")
    code = str(error.get("code") or VilaM3Error.code)
    return _class_for(code)(message, str(error.get("hint") or ""), code)


def _class_for(code: str) -> type[VilaM3Error]:
    pending: list[type[VilaM3Error]] = [VilaM3Error]
    while pending:
        candidate = pending.pop()
        if candidate.code == code:
            return candidate
        pending.extend(candidate.__subclasses__())
    return VilaM3Error
