"""VISTA2D, the published card for cell images: listed, and never offered. Entry point ``vista2d``."""

from __future__ import annotations

from inference_backend.conversation.model_cards import VISTA2D
from inference_backend.experts.registry import UnavailableExpert

REASON = (
    "The published system has a card for VISTA2D and no implementation; its bundle (0.3.0) needs packages "
    "that are not maintained or not in a registry (segment-anything, cellpose). Use another program."
)


def create() -> UnavailableExpert:
    """An expert that says why it cannot run."""
    return UnavailableExpert(VISTA2D, REASON)
