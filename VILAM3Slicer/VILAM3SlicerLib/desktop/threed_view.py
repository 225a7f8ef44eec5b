"""Slicer's first 3D view: a picture of it for the model, and surfaces brought into it."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.scene.camera import FirstLook
from VILAM3SlicerLib.scene.capture import CapturedView
from VILAM3SlicerLib.scene.threed_picture import capture_threed
from VILAM3SlicerLib.viewer.scan_scene import ScanScene


def capture_threed_view(volume_node: Any, volume: str | None) -> CapturedView:
    """See ``scene.threed_picture.capture_threed``.

    Raises:
        SceneError: the layout has no 3D view.
    """
    layout = slicer.app.layoutManager()
    if layout is None or layout.threeDViewCount < 1:
        raise SceneError(
            _("The layout has no 3D view."), _("Choose a layout with one, or send slice views only.")
        )
    return capture_threed(layout.threeDWidget(0).threeDView().renderWindow(), volume_node, volume)


class SurfacesInSight:
    """Brings the first surfaces of a scan into the picture, unless the person turned it meanwhile."""

    def __init__(self, scan_scene: ScanScene) -> None:
        self._scan_scene = scan_scene
        self._look: FirstLook | None = None

    def note_scan(self) -> None:
        """A scan was taken up: one with segments, as from a saved scene, keeps the view that it has."""
        camera = _camera() if self._scan_scene.node is not None and not self._scan_scene.rows() else None
        self._look = FirstLook(camera) if camera is not None else None
        if self._look is not None:
            self._look.stay()

    def note_surface(self) -> None:
        """A surface has come, or the last one."""
        if self._look is None or self._scan_scene.surfaces.is_running:
            return
        bounds = self._scan_scene.surface_bounds
        if bounds is not None:
            self._look.come_closer(bounds)
            self._look = None


def _camera() -> Any:
    """The camera node of the first 3D view, None if the layout has none."""
    layout = slicer.app.layoutManager()
    if layout is None or layout.threeDViewCount < 1:
        return None
    view = layout.threeDWidget(0).mrmlViewNode()
    return slicer.modules.cameras.logic().GetViewActiveCameraNode(view)
