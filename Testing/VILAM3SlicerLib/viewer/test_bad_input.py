"""What may be wrong with a scan, at a question or in mid-answer: a word for each, nothing half-changed."""

from __future__ import annotations

import numpy as np
import pytest

from Testing.full_disk import full_disk
from Testing.VILAM3SlicerLib.viewer.conftest import (
    MATRIX,
    SHAPE,
    segment_infos,
    segment_voxels,
    two_organs,
)
from VILAM3SlicerLib.protocol.errors import SceneError, UnsupportedVolume
from VILAM3SlicerLib.scene.arrays import image_array
from VILAM3SlicerLib.scene.geometry import ras_to_world
from VILAM3SlicerLib.scene.report_store import put_report
from VILAM3SlicerLib.scene.segmentation import find_segmentation, segment_ids
from VILAM3SlicerLib.scene.size_table import find_table
from VILAM3SlicerLib.viewer.report_desk import ReportDesk


def nodes(scene) -> list[str]:
    """All nodes but those of Slicer itself and of the Red view, by class and name."""
    found = [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]
    ours = [node for node in found if node.GetSingletonTag() is None and "Red" not in node.GetName()]
    return sorted(f"{node.GetClassName()} {node.GetName()}" for node in ours)


def bend(scene, node) -> None:
    """Put a node under a transform that no matrix describes."""
    from vtkmodules.vtkCommonTransforms import vtkThinPlateSplineTransform

    spline = vtkThinPlateSplineTransform()
    transform = scene.AddNewNodeByClass("vtkMRMLTransformNode", "bend")
    transform.SetAndObserveTransformToParent(spline)
    node.SetAndObserveTransformNodeID(transform.GetID())


def result_arrives(talk, *names: str) -> None:
    """The expert's result and the answer of the question that was asked."""
    labels = two_organs()
    talk.result(labels, *segment_infos(labels, names))
    talk.answer()
    talk.settle()


def only_notice(talk) -> str:
    (turn,) = talk.presenter.turns
    assert turn.state == "done"
    (notice,) = turn.notices
    return notice.message


@pytest.fixture
def worked_on(talk, scan):
    """The scan of a question for which an expert is at work."""
    talk.discussion.open(scan)
    talk.ask()
    talk.call()
    return scan


def put_partly(talk, steps: int) -> None:
    """A second result for the scan that is talked about, of which so many pieces are in the scene already."""
    talk.segment(two_organs(), "liver", "spleen")
    talk.ask()
    talk.call()
    labels = two_organs()
    talk.result(labels, *segment_infos(labels, ("liver", "spleen")))
    for _ in range(steps):
        talk.host.turn()


def test_no_scan(talk, make_view):
    with pytest.raises(SceneError, match="no slice view 'Red'"):
        talk.ask()
    make_view(None)
    before = nodes(talk.scene)
    with pytest.raises(SceneError, match="shows no scan"):
        talk.ask()
    assert (talk.presenter.turns, nodes(talk.scene)) == ((), before)


def test_colour_and_several_frames(talk, scan, scene):
    from vtkmodules.vtkCommonDataModel import vtkImageData

    image = vtkImageData()
    image.SetDimensions(4, 4, 4)
    image.AllocateScalars(3, 3)
    colour = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photo")
    colour.SetAndObserveImageData(image)
    talk.discussion.open(scan)
    before = nodes(scene)
    with pytest.raises(UnsupportedVolume, match="3 values per voxel: it is in colour or has several frames"):
        talk.discussion.open(colour)
    assert (talk.scan.node, nodes(scene)) == (scan, before)


def test_a_result_lies_under_the_linear_transform_of_its_scan(talk, worked_on, put_under_transform):
    moved = np.array([[0, -1, 0, 10], [1, 0, 0, -5], [0, 0, 1, 3], [0, 0, 0, 1.0]])
    transform = put_under_transform(worked_on, moved)
    result_arrives(talk, "liver", "spleen")
    node = talk.scan.segmentation
    assert node.GetTransformNodeID() == transform.GetID()
    np.testing.assert_allclose(ras_to_world(node), moved)
    np.testing.assert_array_equal(segment_voxels(node, "liver"), two_organs() == 1)
    assert talk.presenter.turns[0].notices == ()


def test_a_non_linear_transform_is_said(talk, scan):
    bend(talk.scene, scan)
    before = nodes(talk.scene)
    with pytest.raises(UnsupportedVolume, match="'chest' is under a non-linear transform"):
        talk.discussion.open(scan)
    assert nodes(talk.scene) == before


def test_a_non_linear_transform_in_mid_answer_is_said_and_nothing_added(talk, worked_on):
    bend(talk.scene, worked_on)
    result_arrives(talk, "liver")
    assert "non-linear transform" in only_notice(talk)
    assert find_segmentation(talk.scene, worked_on) is None


def test_other_voxels_in_mid_answer_are_said_and_nothing_added(talk, worked_on):
    image_array(worked_on.GetImageData())[3, 4, 5] += 1
    worked_on.GetImageData().GetPointData().GetScalars().Modified()
    result_arrives(talk, "liver")
    assert "'chest' was changed after the question" in only_notice(talk)
    assert find_segmentation(talk.scene, worked_on) is None


def test_a_scan_that_was_only_touched_gets_its_result(talk, worked_on):
    worked_on.GetImageData().GetPointData().GetScalars().Modified()
    result_arrives(talk, "liver")
    assert [row.name for row in talk.scan.rows()] == ["liver"]


def test_another_place_in_mid_answer_is_said_and_nothing_added(talk, worked_on):
    labels = two_organs()
    talk.host.holds_later = True
    worked_on.SetSpacing(1.0, 1.0, 1.0)
    talk.result(labels, *segment_infos(labels, ("liver",)))
    talk.answer()
    talk.settle()
    assert "'chest' was changed after the question" in only_notice(talk)
    assert find_segmentation(talk.scene, worked_on) is None


def test_voxels_that_are_gone_in_mid_answer_are_said(talk, worked_on):
    labels, image = two_organs(), worked_on.GetImageData()
    talk.result(labels, *segment_infos(labels, ("liver",)))
    worked_on.SetAndObserveImageData(None)
    talk.answer()
    talk.settle()
    assert "has no voxels any more" in only_notice(talk)
    assert find_segmentation(talk.scene, worked_on) is None
    worked_on.SetAndObserveImageData(image)


@pytest.mark.parametrize("steps", range(0, 18))
def test_a_scene_closed_while_a_result_is_put_into_it_is_clean(talk, scan, steps, capfd):
    talk.discussion.open(scan)
    put_partly(talk, steps)
    talk.scene.Clear(0)
    talk.host.run(until=lambda: talk.presenter.is_settled)
    for _ in range(20):
        talk.host.turn()
    assert nodes(talk.scene) == []
    assert (talk.presenter.turns, talk.scan.node) == ((), None)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("steps", range(0, 16))
def test_a_segmentation_removed_while_a_result_is_put_into_it_is_said_or_made_anew(talk, scan, steps, capfd):
    talk.discussion.open(scan)
    put_partly(talk, steps)
    was_done = not talk.presenter._stepping.is_running
    talk.scene.RemoveNode(talk.scan.segmentation)
    talk.answer()
    talk.settle()
    shown = [row.name for row in talk.scan.rows()]
    notices = talk.presenter.turns[-1].notices
    if shown or was_done:
        assert (shown, notices) == ([] if was_done else ["liver", "spleen"], ())
    else:
        assert "was removed" in notices[0].message
    assert "Traceback" not in capfd.readouterr().err


def test_a_scan_of_one_slice(talk, make_volume, make_view):
    voxels = np.random.default_rng(1).integers(-1000, 1000, (24, 20, 1), dtype=np.int16)
    flat = make_volume(voxels, MATRIX, "flat")
    make_view(flat)
    talk.discussion.open(flat)
    for mode in ("as_seen", "published"):
        (image,) = talk.scan.capture(mode)
        assert image.png.startswith(b"\x89PNG")
    labels = np.zeros((24, 20, 1), np.uint8)
    labels[3:12, 4:9] = 1
    talk.segment(labels, "lung tumor")
    talk.host.run(until=lambda: find_table(talk.scene, flat) is not None)
    (row,) = talk.scan.rows()
    assert row.volume_ml == pytest.approx(45 * abs(np.linalg.det(MATRIX[:3, :3])) / 1000)
    assert row.longest_mm > 0
    talk.scan.go_to(row.segment_id)
    troubles = []
    talk.scan.surfaces.on_trouble = troubles.append
    talk.host.run(until=lambda: not talk.scan.surfaces.is_running)
    assert troubles == []
    talk.presenter.undo()
    talk.settle()
    assert talk.scan.rows() == []


STRANGE = "a/b\\c:d|e <f> \"g\" 'h' %i; ä 肺 😀\n."


@pytest.mark.parametrize("character", ["", "&", "&amp;", "\x07", "\ufffe"])
def test_names_with_any_character_survive_saving_and_loading(  # noqa: PLR0917
    talk, make_volume, make_view, app, tmp_path, character
):
    voxels = np.random.default_rng(1).integers(-1000, 1000, SHAPE, dtype=np.int16)
    node = make_volume(voxels, MATRIX, STRANGE)
    make_view(node)
    talk.discussion.open(node)
    name = STRANGE + character
    talk.segment(two_organs(), name, "spleen", expert="X|Y:Z" + character)
    talk.segment(np.roll(two_organs(), 1, axis=0), name, expert="X|Y:Z" + character)
    talk.host.run(until=lambda: find_table(talk.scene, node) is not None)
    talk.scan.toggle(talk.scan.rows()[-1].segment_id)
    before = [(row.name, row.source, row.visible) for row in talk.scan.rows()]
    assert app.io_manager.save_scene(str(tmp_path / "scene.mrb"))
    talk.scene.Clear(0)
    assert app.io_manager.load_scene(str(tmp_path / "scene.mrb"))
    assert (talk.scan.node is not None, talk.scan.node.GetName()) == (True, STRANGE)
    assert talk.presenter.turns[-1].text == "Here they are."
    rows = [(row.name, row.source, row.visible) for row in talk.scan.rows()]
    assert rows == before
    shown = STRANGE + (character if character.isprintable() else "?")
    assert [name for name, *_ in rows] == ["spleen", shown]
    talk.presenter.undo()
    talk.settle()
    assert len(talk.scan.rows()) == 2
    assert talk.troubles == []


def test_a_report_with_any_character_does_not_spoil_the_scene(talk, scan, app, tmp_path):
    talk.discussion.open(scan)
    for length in (1, 2000):  # Slicer writes a long text into a file of its own
        put_report(talk.scene, scan, "a bell \x07 & <b> \ufffe" * length)
        assert app.io_manager.save_scene(str(tmp_path / "scene.mrb"))
        talk.scene.Clear(0)
        assert app.io_manager.load_scene(str(tmp_path / "scene.mrb"))
        (report,) = talk.scene.GetNodesByClass("vtkMRMLTextNode")
        assert report.GetText() == "a bell ? & <b> ?" * length
        scan = talk.scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")


@pytest.mark.parametrize(("name", "told"), [("Smith & Co", "&"), ("a bell \x07", "U+0007")])
def test_a_scans_own_name_that_slicer_cannot_read_back_is_told_once(  # noqa: PLR0917
    talk, make_volume, make_view, app, tmp_path, name, told
):
    node = make_volume(np.zeros(SHAPE, np.int16), MATRIX, name)
    make_view(node)
    for scan in (node, None, node):
        talk.discussion.open(scan)
    (trouble,) = talk.troubles
    assert f"with {told}." in trouble.message
    assert "Rename the scan" in trouble.hint
    assert node.GetName() == name
    path = str(tmp_path / "scene.mrb")
    assert app.io_manager.save_scene(path)
    assert not app.io_manager.load_scene(path), "Slicer has mended this: the warning can go"
    node.SetName("Smith and Co")
    assert app.io_manager.save_scene(path)
    assert app.io_manager.load_scene(path)


def test_a_full_disk_leaves_the_file_that_was_there(talk, scan, tmp_path):
    talk.discussion.open(scan)
    labels = np.random.default_rng(3).integers(0, 3, SHAPE).astype(np.uint8)
    talk.segment(labels, "liver", "spleen")
    path = tmp_path / "segmentation.seg.nrrd"
    talk.scan.save_segmentation(path)
    before, present = path.read_bytes(), nodes(talk.scene)
    with full_disk(2000), pytest.raises(SceneError, match="could not be written"):
        talk.scan.save_segmentation(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert nodes(talk.scene) == present
    assert len(segment_ids(talk.scan.segmentation)) == 2


def test_words_with_any_character_are_kept_with_the_scene(talk, scan):
    said = "half a pair \ud800, a zero \x00, a bell \x07, <b> & 肺."
    talk.discussion.open(scan)
    desk = ReportDesk(talk.presenter, talk.scan, talk.scene)
    talk.ask(said)
    talk.answer(said)
    talk.settle()
    desk.refresh()
    desk.edit("impression", 0, "Mine: " + said)
    desk.into_scene()
    talk.discussion.open(None)
    talk.discussion.open(scan)
    kept = talk.presenter.turns[0].answer.text
    assert kept.startswith("half a pair ")
    assert kept.endswith("<b> & 肺.")
    assert talk.troubles == []
