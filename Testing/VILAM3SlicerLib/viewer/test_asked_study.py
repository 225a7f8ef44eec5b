"""Questions about an MRI study, with points and a box, on real Slicer Core."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from Testing.VILAM3SlicerLib.viewer.conftest import MATRIX, SHAPE, two_organs
from VILAM3SlicerLib.protocol.errors import InvalidRequest, SceneError
from VILAM3SlicerLib.protocol.messages import PointPrompt
from VILAM3SlicerLib.protocol.nrrd import decode_nrrd
from VILAM3SlicerLib.scene.capture import capture
from VILAM3SlicerLib.scene.views import slice_view

NAMES = {"T1c": "case_t1ce", "T1": "case_t1", "T2": "case_t2", "FLAIR": "case_flair"}


@pytest.fixture
def study(talk, make_volume, make_view):
    """Four volumes, the FLAIR shown and talked about."""
    generator = np.random.default_rng(5)
    nodes = {
        role: make_volume(generator.integers(0, 900, SHAPE, dtype=np.int16), MATRIX, name)
        for role, name in NAMES.items()
    }
    make_view(nodes["FLAIR"])
    talk.discussion.open(nodes["FLAIR"])
    return nodes


def ask(talk, text: str = "Is there a tumour?"):
    turn = talk.presenter.ask(text, talk.scan.modality, "published")
    return turn.turn_id, talk.transport.requests[-1]["vilam3"]


def test_the_whole_study_goes_with_a_question(talk, study) -> None:
    assert talk.scan.modality == "MRI"
    _, context = ask(talk)
    assert [one["role"] for one in context["sequences"]] == list(NAMES)
    sent = {volume.sha256: decode_nrrd(b"".join(volume.pieces)) for volume in talk.transport.volumes}
    assert len(sent) == 4
    for one, node in zip(context["sequences"], study.values(), strict=True):
        voxels = np.frombuffer(sent[one["volume"]].voxels, np.int16).reshape(SHAPE, order="F")
        from VILAM3SlicerLib.scene.volumes import voxel_array

        np.testing.assert_array_equal(voxels, voxel_array(node).transpose(2, 1, 0))
    assert context["volume"] == context["sequences"][3]["volume"]
    assert [view["volume"] for view in context["views"]] == [one["volume"] for one in context["sequences"]]
    assert len({view["pixel_to_ras"] for view in context["views"]}) == 1
    (turn,) = talk.presenter.turns
    assert [image.name for image in turn.question.images] == [node.GetName() for node in study.values()]
    assert not [name for name in NAMES.values() if name in str(talk.transport.requests[-1])]


def test_nothing_is_packed_twice_until_it_changes(talk, study) -> None:
    for _ in range(2):
        ask(talk)
        talk.answer()
        talk._sequence = 0
    first, second = talk.transport.volumes[:4], talk.transport.volumes[4:]
    assert all(one is other for one, other in zip(first, second, strict=True))
    study["T2"].GetImageData().GetPointData().GetScalars().SetTuple1(0, 5000)
    study["T2"].GetImageData().Modified()
    ask(talk)
    changed = {one.sha256 for one in talk.transport.volumes[8:]} - {one.sha256 for one in first}
    assert len(changed) == 1


def test_a_corrected_table_is_what_is_sent(talk, study) -> None:
    talk.scan.study.choose("T1", study["T1c"].GetID())
    talk.scan.study.choose("T1c", study["T1"].GetID())
    _, context = ask(talk)
    turn = talk.presenter.turns[-1]
    assert [one.name for one in turn.question.sequences][:2] == ["case_t1", "case_t1ce"]
    assert [one["role"] for one in context["sequences"]] == list(NAMES)


def test_volumes_that_come_and_go_are_in_the_table_soon(talk, study, make_volume) -> None:
    talk.host.turn()
    told = []
    talk.scan.study.on_change = lambda: told.append(talk.scan.study.message)
    talk.scene.RemoveNode(study["T2"])
    talk.host.turn()
    assert told == ["Missing: T2. A tumour segmentation needs all four."]
    make_volume(np.ones(SHAPE, np.int16), MATRIX, "again_t2")
    talk.host.turn()
    assert told[-1] == ""


def test_another_sequence_may_be_looked_at_without_leaving_the_conversation(talk, study) -> None:
    view = slice_view(talk.scan._app_logic, "Red")
    view.logic.GetSliceCompositeNode().SetBackgroundVolumeID(study["T1"].GetID())
    talk.discussion.follow_view()
    assert talk.scan.node is study["FLAIR"]
    _, context = ask(talk)
    assert context["volume"] == context["sequences"][3]["volume"]


def test_other_planes_that_go_along_are_of_the_scan_itself_in_its_own_frame(
    talk, study, make_view, put_under_transform
) -> None:
    moved = np.eye(4)
    moved[:3, 3] = (3, -2, 1)
    put_under_transform(study["T1"], moved)
    make_view(study["T1"], "Coronal", name="Green")
    talk.scan.companions.has_slices = True
    green = slice_view(talk.scan._app_logic, "Green")
    *_, seen = talk.scan.capture("as_seen")
    green.logic.GetSliceCompositeNode().SetBackgroundVolumeID(study["FLAIR"].GetID())
    expected = capture(green, "as_seen", "MRI")
    assert seen.png == expected.png
    np.testing.assert_allclose(seen.geometry.pixel_to_ras, expected.geometry.pixel_to_ras)


def test_a_sequence_registered_by_a_transform_is_sent_where_it_is_seen(
    talk, study, put_under_transform
) -> None:
    moved = np.eye(4)
    moved[:3, 3] = (3, -2, 1)
    put_under_transform(study["T1"], moved)
    _, context = ask(talk)
    sent = {volume.sha256: decode_nrrd(b"".join(volume.pieces)) for volume in talk.transport.volumes}
    t1c, t1 = (np.array(sent[one["volume"]].ijk_to_ras).reshape(4, 4) for one in context["sequences"][:2])
    np.testing.assert_allclose(t1, moved @ MATRIX, atol=1e-9)
    np.testing.assert_array_equal(t1c, MATRIX)


def test_a_scan_beside_the_study_is_asked_about_alone(talk, study, make_volume, make_view) -> None:
    adc = make_volume(np.ones(SHAPE, np.int16), MATRIX, "adc")
    make_view(adc, name="Green")
    talk.scan.asked_view = "Green"
    talk.discussion.open(adc)
    _, context = ask(talk)
    assert context["sequences"] == ()
    assert len(context["views"]) == len(talk.transport.volumes) == 1


def test_two_patients_are_refused_before_anything_is_sent(talk, study) -> None:
    talk.scan.volumes.patients.update({study["T1"].GetID(): "x", study["T2"].GetID(): "y"})
    with pytest.raises(InvalidRequest, match="different patients: case_t1, case_t2"):
        ask(talk)
    assert not talk.presenter.turns
    assert not talk.transport.volumes


def test_one_image_in_two_roles_is_refused_before_anything_is_sent(talk, study) -> None:
    from VILAM3SlicerLib.scene.arrays import image_array

    image = study["T2"].GetImageData()
    image_array(image)[...] = image_array(study["T1"].GetImageData())
    image.GetPointData().GetScalars().Modified()
    ask_again = talk.presenter.ask("Is there a tumour?", "MRI", "published")
    turn = talk.presenter.turn(ask_again.turn_id)
    assert "'case_t1' (T1) and 'case_t2' (T2) are the same image" in turn.error.message
    assert "Choose another volume" in turn.error.hint
    assert (talk.transport.volumes, talk.transport.requests) == ([], [])
    image_array(image)[0, 0, 0] += 1
    image.GetPointData().GetScalars().Modified()
    ask(talk)
    assert len(talk.transport.volumes) == 4


def test_points_are_told_in_the_scans_own_frame_with_the_segment_they_lie_in(
    talk, scan, put_under_transform
) -> None:
    moved = np.eye(4)
    moved[:3, 3] = (30, -10, 4)
    put_under_transform(scan, moved)
    talk.discussion.open(scan)
    talk.segment(two_organs(), "liver", "spleen")
    world = nibabel.affines.apply_affine(moved @ MATRIX, (16, 8, 4))
    talk.scan.question_marks.start_placing("add")
    talk.scene.GetFirstNodeByName("Ask here: include").AddControlPointWorld(*world)
    (point,) = talk.scan.marks.points
    np.testing.assert_allclose(point.ras, nibabel.affines.apply_affine(MATRIX, (16, 8, 4)), atol=1e-6)
    turn_id, context = ask(talk, "What is this?")
    assert context["points"] == ({"ras": point.ras, "is_positive": True},)
    assert talk.presenter.turn(turn_id).question.marks.structures == ("spleen",)
    assert not talk.scan.marks
    assert talk.scan.question_marks.placing == ""
    talk._sequence = 0
    talk.answer()
    talk.presenter.undo()
    (again,) = talk.scan.marks.points
    np.testing.assert_allclose(again.ras, point.ras, atol=1e-6)


def test_a_box_limits_the_picture_of_every_sequence(talk, study) -> None:
    whole = talk.scan.capture("published")
    middle = nibabel.affines.apply_affine(MATRIX, (12, 10, 6))
    talk.scan.question_marks.start_placing("box")
    roi = talk.scene.GetFirstNodeByName("Ask about this box")
    roi.SetCenterWorld(*middle)
    roi.SetSizeWorld(8, 8, 80)
    part = talk.scan.capture("published")
    assert len(part) == 4
    assert all(one.geometry.columns < whole[0].geometry.columns for one in part)
    _, context = ask(talk)
    np.testing.assert_allclose(np.array(context["box"]["box_to_ras"]).reshape(4, 4)[:3, 3], middle, atol=1e-4)
    assert len(talk.scan.capture("published")[0].png) == len(whole[0].png)


def test_marks_are_not_taken_where_nothing_can_be_asked(talk, scan) -> None:
    talk.discussion.open(scan)
    talk.scan.question_marks.put(scan, [PointPrompt((0.0, 0.0, 0.0))], None)
    talk.scan.question_marks.start_placing("box")
    roi = talk.scene.GetFirstNodeByName("Ask about this box")
    roi.SetCenterWorld(500, 500, 500)
    roi.SetSizeWorld(8, 8, 8)
    with pytest.raises(SceneError, match="does not reach"):
        talk.ask()
    assert len(talk.scan.marks.points) == 1
    assert talk.scan.marks.box is not None


def test_marks_for_one_scan_do_not_go_to_another(talk, scan, make_volume) -> None:
    talk.discussion.open(scan)
    talk.scan.question_marks.put(scan, [PointPrompt((0.0, 0.0, 0.0))], None)
    talk.discussion.open(make_volume(np.ones(SHAPE, np.int16), MATRIX, "head"))
    assert not talk.scan.marks
