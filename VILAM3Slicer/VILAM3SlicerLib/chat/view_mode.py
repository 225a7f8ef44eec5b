"""Which image of the scan a model is shown unless the person chooses."""

from __future__ import annotations

from VILAM3SlicerLib.protocol.messages import ModelDescription, ViewMode


def default_mode(model: ModelDescription | None, modality: str) -> ViewMode:
    """``published`` for CT and MRI with a released checkpoint, which was trained so; else ``as_seen``."""
    is_released = model is not None and not model.is_demo
    return "published" if is_released and modality in ("CT", "MRI") else "as_seen"
