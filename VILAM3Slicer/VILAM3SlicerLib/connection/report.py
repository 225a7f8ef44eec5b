"""What the Test button says."""

from __future__ import annotations

from dataclasses import dataclass

from VILAM3SlicerLib.connection.diagnosis import readiness_error
from VILAM3SlicerLib.protocol.errors import VilaM3Error
from VILAM3SlicerLib.protocol.messages import BackendStatus
from VILAM3SlicerLib.protocol.phrases import joined, phrases

_ = phrases(__name__)


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
        return Report(True, "ok", joined(" ", (_("All is well."), summary(status))))
    reached = trouble.code == "loading"
    return Report(
        reached, trouble.code, joined(" ", (_("The backend answers."), trouble.message)), trouble.hint
    )


def summary(status: BackendStatus) -> str:
    """The model and its experts in a line."""
    model = status.model
    able = sum(not expert.unavailable_because for expert in status.experts)
    name = _("no model yet")
    if model:
        name = _("{model} on {device} ({kind})").format(
            model=model.name, device=model.device, kind=model.dtype
        )
    return _("{name}; {count} of {total} experts can run.").format(
        name=name, count=able, total=len(status.experts)
    )
