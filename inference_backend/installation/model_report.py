"""Telling in the terminal which model answers, once it has loaded, and why that one."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

ASK_EVERY_S = 1.0
TIMEOUT_S = 10.0


def tell_when_loaded(url: str, key_file: str) -> threading.Thread:
    """Print it from the background; says nothing if the backend ends before."""
    thread = threading.Thread(target=_tell, args=(url, key_file), daemon=True)
    thread.start()
    return thread


def _tell(url: str, key_file: str) -> None:
    try:
        status = _status(url, key_file)
        while status["readiness"] == "loading":
            time.sleep(ASK_EVERY_S)
            status = _status(url, key_file)
    except OSError:
        return
    print(text(status), flush=True)


def text(status: dict[str, Any]) -> str:
    """One line about the model in an answer of ``/v1/status``."""
    model = status.get("model")
    if status["readiness"] == "failed" or not model:
        return f"The model could not be loaded: {status['detail']}"
    return f"The model: {model['name']} on {model['device']}. {model['chosen_because']}".rstrip()


def _status(url: str, key_file: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {Path(key_file).read_text().strip()}"}
    request = urllib.request.Request(f"{url}/v1/status", headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
        answer: dict[str, Any] = json.load(response)
    return answer
