"""Where the weights of the experts lie: a folder per expert, laid out as the files were released."""

from __future__ import annotations

import os
from pathlib import Path

WEIGHTS_VARIABLE = "VILAM3_WEIGHTS"

_CHECKOUT = Path(__file__).resolve().parents[2]


def weights_folder(expert: str) -> Path:
    """The folder of an expert's weights, there or not: below ``VILAM3_WEIGHTS``, else ``.cache/weights``."""
    root = os.environ.get(WEIGHTS_VARIABLE)
    return (Path(root) if root else _CHECKOUT / ".cache" / "weights") / expert


def missing_weights(expert: str) -> str:
    """What to tell a person who asks for an expert without weights."""
    return (
        f"Its weights are not on this machine. Fetch them with: "
        f"python3 setup_backend.py weights download {expert}"
    )
