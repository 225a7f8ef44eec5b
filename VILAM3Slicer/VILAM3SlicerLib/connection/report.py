"""What the Test button says."""

from __future__ import annotations

from dataclasses import dataclass

from VILAM3SlicerLib.connection.diagnosis import readiness_error
from VILAM3SlicerLib.protocol.errors import VilaM3Error
from VILAM3SlicerLib.protocol.messages import BackendStatus


@dataclass(frozen=True)
class Report:
    """The outcome of a try; ``code`` is ``ok`` or the error's."""

    is_ok: bool
    code: str
    message: str
    hint: str = ""


def report_error(error: VilaM3Error) -> Report:
    """It does not work, and why."""
    return Report(False, error.code, error.message, error.hint)


def report_status(status: BackendStatus) -> Report:
    """A backend of ours answers; whether it can answer questions."""
    trouble = readiness_error(status)
    if trouble is None:
        return Report(True, "ok", f"All is well. {summary(status)}")
    reached = trouble.code == "loading"
    return Report(reached, trouble.code, f"The backend answers. {trouble.message}", trouble.hint)


def summary(status: BackendStatus) -> str:
    """The model and its experts in a line."""
    model = status.model
    able = sum(not expert.unavailable_because for expert in status.experts)
    name = f"{model.name} on {model.device} ({model.dtype})" if model else "no model yet"
    return f"{name}; {able} of {len(status.experts)} experts can run."
