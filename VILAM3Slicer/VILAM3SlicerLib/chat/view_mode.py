"""Which image of the scan a model is shown unless the person chooses."""

from __future__ import annotations

from VILAM3SlicerLib.protocol.messages import ModelDescription, ViewMode


def default_mode(model: ModelDescription | None, modality: str, plane: str) -> ViewMode:
    """``published`` for axial CT and MRI with a released checkpoint, which was trained so; else ``as_seen``.

    ``plane`` is that of the view asked about, see ``scene.geometry.plane_name``.
    """
    is_released = model is not None and not model.is_demo
    is_trained_for = modality in ("CT", "MRI") and plane == "axial"
    return "published" if is_released and is_trained_for else "as_seen"
