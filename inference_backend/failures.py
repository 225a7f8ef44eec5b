"""Errors as they cross a process boundary or reach a log: typed, and without anybody's data."""

from __future__ import annotations

import traceback

from VILAM3SlicerLib.protocol.errors import VilaM3Error

_OUT_OF_MEMORY = ("MemoryError", "OutOfMemoryError")  # Python's, torch's
_DEVICE_LOST = "AcceleratorError"  # torch's


def traceback_without_data(error: BaseException) -> str:
    """Where it happened and the kind of error; its message is left out, as it may hold a prompt or a name."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{frames}{type(error).__name__}"


def as_project_error(error: Exception, what: str) -> VilaM3Error:
    """An error of any kind as one of ours; ``what`` names what failed to a person ("The model")."""
    if isinstance(error, VilaM3Error):
        return error
    if type(error).__name__ in _OUT_OF_MEMORY:
        return VilaM3Error(
            f"{what} ran out of memory.",
            "Close other programs that use the device, or ask about a smaller volume.",
            "out_of_memory",
        )
    if type(error).__name__ == _DEVICE_LOST:
        return VilaM3Error(
            f"{what} failed because the device did.",
            "It is being started again; ask again in a moment.",
            "device_lost",
        )
    return VilaM3Error(
        f"{what} failed unexpectedly ({type(error).__name__}).",
        "Ask again; if it repeats, send the backend's log to its developers.",
    )
