"""A picture of a 3D view for the model: what is on the screen there, in colour."""

from __future__ import annotations

from typing import Any

import numpy as np
from vtkmodules.vtkRenderingCore import vtkWindowToImageFilter

from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.protocol.messages import ViewGeometry
from VILAM3SlicerLib.protocol.phrases import phrases
from VILAM3SlicerLib.scene.capture import CapturedView, png_of
from VILAM3SlicerLib.scene.geometry import Affine, to_wire, world_to_ras

_ = phrases(__name__)

PLANE = "3D"
"""The name of the plane of such a picture on the wire."""


def capture_threed(render_window: Any, volume_node: Any, volume: str | None = None) -> CapturedView:
    """What a 3D view shows now, with everything drawn in it.

    Its geometry is that of the plane through the camera's focal point: nearer and farther things lie
    elsewhere. Window and level say nothing of it and are 0.

    Args:
        render_window: the view's ``vtkRenderWindow``; its first renderer's camera counts.
        volume_node: the scan in whose frame the geometry is told.
        volume: the scan's content hash.

    Raises:
        SceneError: the view has no size yet.
        UnsupportedVolume: a parent transform of the scan is not linear.
    """
    columns, rows = render_window.GetSize()
    if min(columns, rows) < 2:
        raise SceneError(_("The 3D view has no size yet."), _("Show the view and ask again."))
    camera = render_window.GetRenderers().GetFirstRenderer().GetActiveCamera()
    pixel_to_ras = world_to_ras(volume_node) @ _focal_plane(camera, columns, rows)
    geometry = ViewGeometry(
        mode="as_seen",
        plane=PLANE,
        columns=columns,
        rows=rows,
        pixel_to_ras=to_wire(pixel_to_ras),
        window=0.0,
        level=0.0,
        volume=volume,
    )
    return CapturedView(_png_of(render_window), geometry, volume_node.GetName())


def _focal_plane(camera: Any, columns: int, rows: int) -> Affine:
    """Pixel (column, row from the top, 0, 1) to world RAS in mm on the plane through the focal point."""
    focus, eye = np.array(camera.GetFocalPoint()), np.array(camera.GetPosition())
    away = (focus - eye) / np.linalg.norm(focus - eye)
    right = np.cross(away, camera.GetViewUp())
    right /= np.linalg.norm(right)
    down = np.cross(away, right)
    half = camera.GetParallelScale()
    if not camera.GetParallelProjection():
        half = np.linalg.norm(focus - eye) * np.tan(np.radians(camera.GetViewAngle()) / 2)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right, down, away], axis=1) * (2 * half / rows)
    matrix[:3, 3] = focus - matrix[:3, 0] * (columns - 1) / 2 - matrix[:3, 1] * (rows - 1) / 2
    return matrix


def _png_of(render_window: Any) -> bytes:
    grab = vtkWindowToImageFilter()
    grab.SetInput(render_window)
    grab.ReadFrontBufferOff()
    grab.ShouldRerenderOff()  # what was drawn last is what the person sees
    grab.Update()
    return png_of(grab.GetOutput())
