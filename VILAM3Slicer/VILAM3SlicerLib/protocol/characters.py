"""Text of whole characters: vtk ends the process at half of a surrogate pair, which JSON can carry."""

from __future__ import annotations

import json
from typing import Any


def whole_characters(text: str) -> str:
    """The text with a question mark for each half of a pair that stands alone."""
    return text.encode("utf-8", "replace").decode("utf-8")


def load_json(text: str) -> Any:
    """JSON values whose texts are of whole characters.

    Raises:
        ValueError: it is no JSON.
    """
    value = json.loads(text)
    if "\\ud" in text.lower():  # only an escape brings halves in
        value = json.loads(whole_characters(json.dumps(value, ensure_ascii=False)))
    return value
