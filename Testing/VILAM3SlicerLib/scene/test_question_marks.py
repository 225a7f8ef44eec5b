"""Points and a box as Slicer's markups, in the frame of a volume; checked against nibabel."""

from __future__ import annotations

from collections.abc import Iterator

import nibabel
import numpy as np
import pytest

from Testing.VILAM3SlicerLib.scene.conftest import STORED_AS, affine, rotation
from VILAM3SlicerLib.protocol.messages import BoxRegion, PointPrompt
from VILAM3SlicerLib.scene.question_marks import QuestionMarks

MOVED = affine(rotation(10, 25, -5), (1.0, 1.2, 0.9), (30.0, -14.0, 8.0))
"""A parent transform that turns, moves and stretches."""


@pytest.fixture
def marks(scene, app_logic) -> Iterator[QuestionMarks]:
    marks = QuestionMarks(scene, app_logic)
    yield marks
    marks.close()


def place_point(scene, marks, kind: str, world) -> None:
    """As a click does: placing is begun, the point is set down, placing ends."""
    marks.start_placing(kind)
    selection = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    node = scene.GetNodeByID(selection.GetActivePlaceNodeID())
    node.AddControlPointWorld(*map(float, world))
    marks.stop_placing()


def test_a_point_lies_on_its_voxel_in_any_storage(scene, make_volume, marks, ijk_to_ras) -> None:
    volume = make_volume(np.zeros((9, 8, 7), np.int16), ijk_to_ras)
    place_point(scene, marks, "add", nibabel.affines.apply_affine(ijk_to_ras, (4, 2, 5)))
    (point,) = marks.points(volume)
    assert point.is_positive
    back = nibabel.affines.apply_affine(np.linalg.inv(ijk_to_ras), point.ras)
    np.testing.assert_allclose(back, (4, 2, 5), atol=1e-9)


def test_a_parent_transform_of_the_volume_is_taken_out(
    scene, make_volume, put_under_transform, marks, oblique
) -> None:
    volume = make_volume(np.zeros((9, 8, 7), np.int16), oblique)
    put_under_transform(volume, MOVED)
    place_point(scene, marks, "remove", nibabel.affines.apply_affine(MOVED @ oblique, (1, 6, 3)))
    (point,) = marks.points(volume)
    assert not point.is_positive
    np.testing.assert_allclose(point.ras, nibabel.affines.apply_affine(oblique, (1, 6, 3)), atol=1e-9)


def test_markups_under_a_transform_of_their_own_are_where_they_are_seen(
    scene, make_volume, put_under_transform, marks
) -> None:
    volume = make_volume(np.zeros((9, 8, 7), np.int16), STORED_AS["RAS"])
    place_point(scene, marks, "add", (1, 2, 3))
    put_under_transform(scene.GetFirstNodeByName("Ask here: include"), MOVED)
    (point,) = marks.points(volume)
    np.testing.assert_allclose(point.ras, nibabel.affines.apply_affine(MOVED, (1, 2, 3)), atol=1e-9)


def test_a_point_that_still_hangs_on_the_cursor_is_none(scene, make_volume, marks) -> None:
    import slicer

    volume = make_volume(np.zeros((9, 8, 7), np.int16), STORED_AS["RAS"])
    place_point(scene, marks, "add", (1, 2, 3))
    node = scene.GetFirstNodeByName("Ask here: include")
    preview = node.AddControlPointWorld(7.0, 7.0, 7.0)
    node.SetNthControlPointPositionWorld(preview, 7.0, 7.0, 7.0, slicer.vtkMRMLMarkupsNode.PositionPreview)
    assert [point.ras for point in marks.points(volume)] == [(1, 2, 3)]


def test_the_corners_of_a_box_are_those_of_the_roi(
    scene, make_volume, put_under_transform, marks, oblique
) -> None:
    volume = make_volume(np.zeros((9, 8, 7), np.int16), oblique)
    put_under_transform(volume, MOVED)
    marks.start_placing("box")
    roi = scene.GetFirstNodeByName("Ask about this box")
    roi.SetCenterWorld(3.0, -4.0, 5.0)
    roi.SetSizeWorld(10.0, 20.0, 30.0)
    box = np.array(marks.box(volume).box_to_ras).reshape(4, 4)
    corner = nibabel.affines.apply_affine(MOVED @ box, (0.5, -0.5, 0.5))
    np.testing.assert_allclose(corner, (3 + 5, -4 - 10, 5 + 15), atol=1e-9)


def test_marks_put_back_are_the_ones_that_were_taken(
    scene, make_volume, put_under_transform, marks, oblique
) -> None:
    volume = make_volume(np.zeros((9, 8, 7), np.int16), oblique)
    put_under_transform(volume, affine(rotation(10, 25, -5), (1.0, 1.0, 1.0), (30.0, -14.0, 8.0)))
    box = affine(rotation(5, 60, 10), (12.0, 7.0, 9.0), (1.0, 2.0, 3.0))
    points = (PointPrompt((1.0, 2.0, 3.0)), PointPrompt((-4.0, 5.0, 6.0), is_positive=False))
    marks.put(volume, points, BoxRegion(tuple(box.ravel().tolist())))
    assert [one.is_positive for one in marks.points(volume)] == [True, False]
    np.testing.assert_allclose([one.ras for one in marks.points(volume)], [one.ras for one in points])
    np.testing.assert_allclose(np.array(marks.box(volume).box_to_ras).reshape(4, 4), box, atol=1e-5)
    marks.clear()
    assert marks.points(volume) == ()
    assert marks.box(volume) is None
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode") == 0


def test_removing_one_leaves_the_others(scene, make_volume, marks) -> None:
    volume = make_volume(np.zeros((9, 8, 7), np.int16), STORED_AS["RAS"])
    for kind, place in (("add", 1), ("remove", 2), ("add", 3), ("remove", 4)):
        place_point(scene, marks, kind, (place, 0, 0))
    marks.remove_point(3)
    marks.remove_point(0)
    assert [(one.ras[0], one.is_positive) for one in marks.points(volume)] == [(3, True), (2, False)]
    marks.remove_point(7)
    marks.remove_box()
    assert len(marks.points(volume)) == 2


def test_every_change_is_told(scene, marks) -> None:
    told = []
    marks.on_change = lambda: told.append(marks.placing)
    marks.start_placing("add")
    assert told[-1] == "add"
    node = scene.GetFirstNodeByName("Ask here: include")
    for change in (
        lambda: node.AddControlPointWorld(1.0, 2.0, 3.0),
        lambda: node.SetNthControlPointPositionWorld(0, 4.0, 2.0, 3.0),
        lambda: marks.remove_point(0),
        lambda: scene.GetNodeByID("vtkMRMLInteractionNodeSingleton").SwitchToViewTransformMode(),
        lambda: scene.RemoveNode(node),
    ):
        told.clear()
        change()
        assert told
    assert marks.placing == ""


def test_a_box_that_is_dragged_is_told(scene, marks) -> None:
    marks.start_placing("box")
    roi = scene.GetFirstNodeByName("Ask about this box")
    told = []
    marks.on_change = lambda: told.append(1)
    roi.SetCenterWorld(3.0, -4.0, 5.0)
    assert told
    told.clear()
    roi.SetSizeWorld(10.0, 20.0, 30.0)
    assert told


def test_a_persons_own_markups_are_left_alone(scene, make_volume, marks) -> None:
    volume = make_volume(np.zeros((9, 8, 7), np.int16), STORED_AS["RAS"])
    own = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "landmarks")
    own.AddControlPointWorld(1.0, 1.0, 1.0)
    assert marks.points(volume) == ()
    marks.clear()
    assert own.GetScene() is scene
