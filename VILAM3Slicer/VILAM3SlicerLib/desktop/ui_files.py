"""The .ui files of the module, as widgets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer.util

_FOLDER = Path(__file__).resolve().parents[2] / "Resources" / "UI"


def load_ui(name: str) -> tuple[Any, Any]:
    """The widget of ``Resources/UI/{name}.ui`` and its named children as attributes of one object."""
    widget = slicer.util.loadUI(str(_FOLDER / f"{name}.ui"))
    return widget, slicer.util.childWidgetVariables(widget)
