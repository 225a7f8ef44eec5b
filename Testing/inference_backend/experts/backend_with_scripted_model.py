"""A backend with this environment's experts and a model that calls the expert which the question names.

Prints its address and ends when its standard input does.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from inference_backend.runtime.expert_process import ExpertProcess, LoadInstalledExperts
from inference_backend.runtime.model_process import ModelProcess
from Testing.inference_backend.runtime.workers import CallsExperts
from Testing.inference_backend.service.running import running


def processes(store: Any) -> tuple[Any, Any]:
    return ModelProcess(CallsExperts), ExpertProcess(LoadInstalledExperts("cpu"), store)


if __name__ == "__main__":
    with running(Path(sys.argv[1]), backends=processes) as service:
        print(service.url, flush=True)
        sys.stdin.read()
