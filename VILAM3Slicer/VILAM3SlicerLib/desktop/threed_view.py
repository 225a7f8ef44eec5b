"""Slicer's first 3D view as a picture for the model."""

from __future__ import annotations

from typing import Any

import slicer

from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.scene.capture import CapturedView
from VILAM3SlicerLib.scene.threed_picture import capture_threed


def capture_threed_view(volume_node: Any, volume: str | None) -> CapturedView:
    """See ``scene.threed_picture.capture_threed``.

    Raises:
        SceneError: the layout has no 3D view.
    """
    layout = slicer.app.layoutManager()
    if layout is None or layout.threeDViewCount < 1:
        raise SceneError("The layout has no 3D view.", "Choose a layout with one, or send slice views only.")
    return capture_threed(layout.threeDWidget(0).threeDView().renderWindow(), volume_node, volume)
