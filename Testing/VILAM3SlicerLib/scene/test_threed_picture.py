"""A picture of a 3D view says where its pixels lie: a thing in the focal plane is found where it is drawn."""

from __future__ import annotations

import io
import sys
from ctypes.util import find_library

import numpy as np
import pytest
from PIL import Image

from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.scene.threed_picture import PLANE, capture_threed

pytestmark = pytest.mark.skipif(
    sys.platform == "linux" and find_library("EGL") is None, reason="drawing needs libEGL"
)

CAMERAS = {
    "front, perspective": ((10.0, 400.0, 5.0), (0.0, 0.0, 1.0), False),
    "oblique, perspective": ((250.0, 200.0, 130.0), (-0.3, 0.1, 1.0), False),
    "oblique, parallel": ((-250.0, 180.0, 90.0), (0.2, 0.1, 1.0), True),
}
FOCUS = np.array([10.0, -20.0, 5.0])
SHIFT = np.array([[0.0, -1.0, 0.0, 7.0], [1.0, 0.0, 0.0, -3.0], [0.0, 0.0, 1.0, 11.0], [0.0, 0.0, 0.0, 1.0]])


def window_with_ball(position, up, parallel, place):
    """A red ball of 4 mm radius on black."""
    from vtkmodules import vtkRenderingOpenGL2  # noqa: F401 - registers the renderer
    from vtkmodules.vtkFiltersSources import vtkSphereSource
    from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkRenderer, vtkRenderWindow

    ball = vtkSphereSource()
    ball.SetCenter(*place)
    ball.SetRadius(4.0)
    mapper = vtkPolyDataMapper()
    mapper.SetInputConnection(ball.GetOutputPort())
    actor = vtkActor()
    actor.SetMapper(mapper)
    actor.GetProperty().SetColor(1.0, 0.0, 0.0)
    actor.GetProperty().LightingOff()
    renderer = vtkRenderer()
    renderer.AddActor(actor)
    window = vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(0)
    window.SetSize(240, 180)
    window.AddRenderer(renderer)
    camera = renderer.GetActiveCamera()
    camera.SetFocalPoint(*FOCUS)
    camera.SetPosition(*position)
    camera.SetViewUp(*up)
    camera.SetParallelProjection(parallel)
    camera.SetParallelScale(90.0)
    renderer.ResetCameraClippingRange()
    window.Render()
    return window


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("aside", [(30.0, 20.0), (-45.0, 10.0), (5.0, -35.0)])
def test_a_thing_in_the_focal_plane_is_where_its_pixel_says(
    scene, make_volume, put_under_transform, camera, aside
):
    position, up, parallel = CAMERAS[camera]
    away = FOCUS - position
    across = np.cross(away, up) / np.linalg.norm(np.cross(away, up))
    upright = np.cross(across, away) / np.linalg.norm(np.cross(across, away))
    place = FOCUS + aside[0] * across + aside[1] * upright
    volume = make_volume(np.zeros((4, 4, 4), np.int16), np.eye(4))
    put_under_transform(volume, SHIFT)
    seen = capture_threed(window_with_ball(position, up, parallel, place), volume, "ab")
    pixels = np.asarray(Image.open(io.BytesIO(seen.png)).convert("RGB"))
    assert pixels.shape == (180, 240, 3)
    rows, columns = np.nonzero(pixels[..., 0] > 200)
    matrix = np.array(seen.geometry.pixel_to_ras).reshape(4, 4)
    found = SHIFT @ matrix @ (columns.mean(), rows.mean(), 0.0, 1.0)
    assert found[:3] == pytest.approx(place, abs=1.0)
    assert (seen.geometry.plane, seen.geometry.volume) == (PLANE, "ab")


def test_a_view_without_size_is_refused(scene, make_volume):
    from vtkmodules.vtkRenderingCore import vtkRenderWindow

    window = vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetSize(0, 0)
    with pytest.raises(SceneError, match="no size"):
        capture_threed(window, make_volume(np.zeros((4, 4, 4), np.int16), np.eye(4)))
