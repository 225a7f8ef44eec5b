"""The doctor's lines on the catalogue: which models this machine could run, in which precision, and why."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from inference_backend.installation.layout import Layout
from inference_backend.weights.catalogue import Entry, read_catalogue
from inference_backend.weights.choice import Machine, choose_precision
from inference_backend.weights.folder import WeightsFolder
from inference_backend.weights.machine import measure_from_outside
from VILAM3SlicerLib.protocol.errors import ModelError

MEASURE_TIMEOUT_S = 120
_HERE = {"present": "is here", "partial": "is here in part", "absent": "not downloaded"}


def look_at_machine(layout: Layout) -> Machine:
    """What is free: asked of torch in the virtual environment, of the driver and the system without one."""
    if not layout.python.exists():
        return measure_from_outside()
    command = [str(layout.python), "-m", "inference_backend.weights.machine"]
    try:
        asked = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=MEASURE_TIMEOUT_S, cwd=layout.root
        )
        return Machine(**json.loads(asked.stdout))
    except (OSError, ValueError, TypeError, subprocess.SubprocessError):
        return measure_from_outside()


@dataclass(frozen=True)
class Fit:
    """What a model would run in here and why; ``remedy`` is empty unless it does not fit."""

    name: str
    text: str
    remedy: str = ""


def model_fits(machine: Machine, weights: WeightsFolder) -> Iterable[Fit]:
    """Each model that answers questions."""
    for entry in read_catalogue():
        if entry.is_model:
            yield _fit(entry, machine, _HERE[weights.state(entry)])


def _fit(entry: Entry, machine: Machine, here: str) -> Fit:
    try:
        reason = choose_precision(entry, machine).reason
    except ModelError as error:
        return Fit(entry.id, f"{error.message.removeprefix(f'{entry.id} ')} ({here})", error.hint)
    return Fit(entry.id, f"{reason.removeprefix(f'{entry.id} ')} ({here})")
