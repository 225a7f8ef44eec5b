"""The first look at a scan in 3D, on Slicer's own camera node."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from VILAM3SlicerLib.scene.camera import FirstLook

SCAN, LUNGS = (-180.0, 170.0, -190.0, 160.0, -340.0, -10.0), (-120.0, 115.0, -80.0, 90.0, -250.0, -40.0)


@pytest.fixture
def camera(scene):
    return scene.AddNewNodeByClass("vtkMRMLCameraNode")


@pytest.fixture
def look(camera):
    return FirstLook(camera)


def on_the_picture(camera, bounds) -> np.ndarray:
    """Where the corners of a box come to lie: right and up, -1 to 1 within the picture."""
    from VILAM3SlicerLib.scene.geometry import to_numpy

    matrix = to_numpy(camera.GetCamera().GetCompositeProjectionTransformMatrix(1.0, -1, 1))
    corners = np.array([[*corner, 1.0] for corner in product(*zip(bounds[::2], bounds[1::2], strict=True))])
    projected = corners @ matrix.T
    return projected[:, :2] / projected[:, 3:]


def test_all_of_the_scan_is_in_the_picture_seen_from_the_front(camera, look):
    look.face(SCAN)
    places = on_the_picture(camera, SCAN)
    assert 0.7 < np.abs(places).max() < 1.0
    left_of_patient = on_the_picture(camera, (-120.0, -120.0, 0.0, 0.0, -100.0, -100.0))
    assert (
        left_of_patient[:, 0] > 0
    ).all()  # R is negative to the patient's left, which is right on the screen
    feet = on_the_picture(camera, (0.0, 0.0, 0.0, 0.0, -340.0, -340.0))
    assert (feet[:, 1] < 0).all()


def test_it_comes_closer_to_what_appears_but_only_once(camera, look):
    look.face(SCAN)
    assert look.come_closer(LUNGS)
    assert 0.7 < np.abs(on_the_picture(camera, LUNGS)).max() < 1.0
    place = camera.GetPosition()
    assert not look.come_closer(SCAN)
    assert camera.GetPosition() == place


def test_a_camera_that_the_person_moved_is_left_alone(camera, look):
    look.face(SCAN)
    camera.GetCamera().Azimuth(30)
    place = camera.GetPosition()
    assert not look.come_closer(LUNGS)
    assert camera.GetPosition() == place


def test_another_scan_is_faced_again(camera, look):
    look.face(SCAN)
    camera.GetCamera().Azimuth(30)
    look.come_closer(LUNGS)
    look.face(SCAN)
    assert look.come_closer(LUNGS)


def test_a_camera_may_stay_until_something_appears(camera, look):
    place = camera.GetPosition()
    look.stay()
    assert camera.GetPosition() == place
    assert look.come_closer(LUNGS)
    assert 0.7 < np.abs(on_the_picture(camera, LUNGS)).max() < 1.0
