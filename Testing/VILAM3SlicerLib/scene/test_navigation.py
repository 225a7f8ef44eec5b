"""Views brought to a place, with or without a parent transform."""

from __future__ import annotations

import numpy as np
import pytest

from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.protocol.events import SegmentInfo
from VILAM3SlicerLib.protocol.nrrd import NrrdVolume
from VILAM3SlicerLib.scene.geometry import ijk_to_ras as node_ijk_to_ras
from VILAM3SlicerLib.scene.geometry import to_wire
from VILAM3SlicerLib.scene.navigation import go_to_point, go_to_segment
from VILAM3SlicerLib.scene.result_segments import ResultSegments
from VILAM3SlicerLib.scene.segment_origin import Origin
from VILAM3SlicerLib.scene.segmentation import find_segmentation
from VILAM3SlicerLib.scene.terminology import SlicerTerminology

SHAPE = (38, 46, 30)
ORIENTATIONS = {"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal"}


@pytest.fixture
def scan(make_volume, ijk_to_ras):
    return make_volume(np.zeros(SHAPE, np.int16), ijk_to_ras)


@pytest.fixture
def views(scan, make_view):
    return [make_view(scan, plane, (90, 70), name) for name, plane in ORIENTATIONS.items()]


def place_in(view, world) -> np.ndarray:
    """Column, row from the bottom and distance from the plane of a point, in pixels and mm."""
    return (np.linalg.inv(view.xy_to_world) @ [*world, 1.0])[:3]


def test_all_planes_pass_through_the_point(scan, views, app_logic):
    ras = (node_ijk_to_ras(scan) @ [30, 10, 21, 1])[:3]
    go_to_point(app_logic, scan, ras)
    for view in views:
        column, row, distance = place_in(view, ras)
        assert abs(distance) < 1e-6
        assert 0 <= column < 90
        assert 0 <= row < 70


def test_view_moves_sideways_only_where_the_point_is_out_of_it(scan, views, app_logic):
    ras = (node_ijk_to_ras(scan) @ [20, 22, 15, 1])[:3]
    before = [place_in(view, ras)[:2] for view in views]
    go_to_point(app_logic, scan, ras)
    for view, place in zip(views, before, strict=True):
        np.testing.assert_allclose(place_in(view, ras)[:2], place, atol=1e-6)
    far = np.array(ras) + 500.0
    go_to_point(app_logic, scan, far)
    for view in views:
        np.testing.assert_allclose(place_in(view, far)[:2], (45, 35), atol=1.0)


def test_point_is_moved_by_the_parent_transform(scan, views, app_logic, put_under_transform):
    moved = np.eye(4)
    moved[:3, 3] = (4.0, -6.0, 3.0)
    put_under_transform(scan, moved)
    ras = (node_ijk_to_ras(scan) @ [20, 22, 15, 1])[:3]
    world = go_to_point(app_logic, scan, ras)
    np.testing.assert_allclose(world, ras + moved[:3, 3])
    for view in views:
        assert abs(place_in(view, world)[2]) < 1e-6


def test_segment_is_shown_at_a_point_inside_it(scan, views, app_logic, scene):
    labels = np.zeros(SHAPE, np.uint8)
    labels[5:35, 5:40, 14] = 1
    labels[9:31, 9:36, 14] = 0  # a ring: its middle is empty
    results = ResultSegments(scene, SlicerTerminology(app_logic))
    labelmap = NrrdVolume("uint8", SHAPE, to_wire(node_ijk_to_ras(scan)), labels.tobytes("F"))
    segments = (SegmentInfo("ring", (1,), "", 0, 0.0, None), SegmentInfo("nothing", (2,), "", 0, 0.0, None))
    results.add(scan, labelmap, segments, Origin("turn-1", "TEST", "1"))
    node = find_segmentation(scene, scan)
    world = go_to_segment(app_logic, node, "ring")
    ijk = np.rint(np.linalg.inv(node_ijk_to_ras(scan)) @ [*world, 1.0]).astype(int)[:3]
    assert labels[tuple(ijk)] == 1
    with pytest.raises(SceneError, match="'nothing' is empty"):
        go_to_segment(app_logic, node, "nothing")


def test_camera_looks_at_the_point_from_where_it_looked(scan, views, app_logic, scene):
    camera = scene.AddNewNodeByClass("vtkMRMLCameraNode")
    direction = np.array(camera.GetPosition()) - np.array(camera.GetFocalPoint())
    go_to_point(app_logic, scan, (1.0, 2.0, 3.0), camera)
    assert camera.GetFocalPoint() == (1.0, 2.0, 3.0)
    np.testing.assert_allclose(np.array(camera.GetPosition()) - (1, 2, 3), direction)
