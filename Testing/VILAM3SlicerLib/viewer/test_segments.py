"""Segments in the life of a conversation: replaced, brought back, edited by a person, measured, filed."""

from __future__ import annotations

import numpy as np
import pytest

from Testing.VILAM3SlicerLib.viewer.conftest import LIVER, MATRIX, SHAPE, segment_voxels, two_organs
from VILAM3SlicerLib.chat.rows import headings
from VILAM3SlicerLib.scene.arrays import image_array
from VILAM3SlicerLib.scene.segmentation import LABELMAP, segment_ids, segment_of, set_visible
from VILAM3SlicerLib.scene.size_table import find_table


def names(talk) -> list[str]:
    return [row.name for row in talk.scan.rows()]


def shifted() -> np.ndarray:
    return np.roll(two_organs(), 1, axis=0)


def edit(talk, segment_id: str) -> None:
    """Take the segment's first voxel away, as a brush would."""
    segment = segment_of(talk.scan.segmentation, segment_id)
    image = segment.GetRepresentation(LABELMAP)
    voxels = image_array(image)
    k, j, i = np.argwhere(voxels == segment.GetLabelValue())[0]
    voxels[k, j, i] = 0
    image.Modified()


def turn_round(talk, segment_id: str) -> None:
    """Move one voxel of each row of the segment along I: no row has more or fewer then."""
    segment = segment_of(talk.scan.segmentation, segment_id)
    image = segment.GetRepresentation(LABELMAP)
    voxels = image_array(image)
    there = voxels == segment.GetLabelValue()
    first = there & ~np.roll(there, 1, axis=2)
    behind = ~there & np.roll(there, 1, axis=2)
    voxels[first], voxels[behind] = 0, segment.GetLabelValue()
    image.Modified()


@pytest.fixture
def opened(talk, scan):
    talk.discussion.open(scan)
    return talk


def test_undo_brings_back_what_the_turn_replaced(opened):
    opened.segment(two_organs(), "liver", "spleen")
    node = opened.scan.segmentation
    segment_of(node, "liver").SetColor(0.1, 0.2, 0.3)
    set_visible(node, "spleen", False)
    opened.scan.set_opacity("spleen", 0.4)
    before = {one: segment_voxels(node, one) for one in segment_ids(node)}
    opened.segment(shifted(), "liver", "spleen")
    assert names(opened) == ["liver", "spleen"]
    np.testing.assert_array_equal(segment_voxels(node, segment_ids(node)[0]), shifted() == 1)
    opened.presenter.undo()
    opened.settle()
    assert segment_ids(node) == ["liver", "spleen"]
    for segment_id, voxels in before.items():
        np.testing.assert_array_equal(segment_voxels(node, segment_id), voxels)
    assert segment_of(node, "liver").GetColor() == pytest.approx((0.1, 0.2, 0.3))
    liver, spleen = opened.scan.rows()
    assert (liver.visible, spleen.visible, spleen.opacity) == (True, False, pytest.approx(0.4))
    assert (liver.source, spleen.source) == ("VISTA3D 0.5", "VISTA3D 0.5")
    opened.presenter.undo()
    opened.settle()
    assert names(opened) == []


def test_what_was_replaced_comes_back_after_the_scene_was_saved_and_loaded(opened, app, tmp_path):
    opened.segment(two_organs(), "liver", "spleen")
    opened.segment(shifted(), "liver")
    assert names(opened) == ["spleen", "liver"]
    assert app.io_manager.save_scene(str(tmp_path / "scene.mrb"))
    opened.scene.Clear(0)
    assert app.io_manager.load_scene(str(tmp_path / "scene.mrb"))
    opened.presenter.undo()
    opened.settle()
    node = opened.scan.segmentation
    assert names(opened) == ["spleen", "liver"]
    np.testing.assert_array_equal(segment_voxels(node, "liver"), two_organs() == 1)
    np.testing.assert_array_equal(segment_voxels(node, "spleen"), two_organs() == 2)


def test_two_calls_for_the_same_in_one_turn_are_undone_together(opened):
    opened.ask()
    opened.call()
    opened.result(two_organs(), *_infos("liver"))
    opened.result(shifted(), *_infos("liver"))
    opened.answer()
    opened.settle()
    assert names(opened) == ["liver"]
    opened.presenter.undo()
    opened.settle()
    assert names(opened) == []


def _infos(*found: str):
    from Testing.VILAM3SlicerLib.viewer.conftest import segment_infos

    return segment_infos(two_organs(), found)


def test_the_person_may_have_results_side_by_side(opened):
    opened.scan.replaces_earlier = False
    opened.segment(two_organs(), "liver")
    opened.segment(shifted(), "liver")
    assert names(opened) == ["liver", "liver"]
    opened.presenter.undo()
    opened.settle()
    assert names(opened) == ["liver"]
    np.testing.assert_array_equal(segment_voxels(opened.scan.segmentation, "liver"), two_organs() == 1)


def test_an_edited_segment_is_kept_and_the_person_asked(opened):
    opened.segment(two_organs(), "liver", "spleen")
    edit(opened, "liver")
    edited = segment_voxels(opened.scan.segmentation, "liver")
    opened.segment(shifted(), "liver", "spleen")
    node = opened.scan.segmentation
    assert sorted(names(opened)) == ["liver", "liver", "spleen"]
    np.testing.assert_array_equal(segment_voxels(node, "liver"), edited)
    (decision,) = opened.presenter.decisions
    assert "'liver'" in decision.question
    assert [choice.text for choice in decision.choices] == ["Keep both", "Replace mine"]
    opened.presenter.decide(decision, decision.choices[1])
    opened.settle()
    assert sorted(names(opened)) == ["liver", "spleen"]
    opened.presenter.undo()
    opened.settle()
    np.testing.assert_array_equal(segment_voxels(node, "liver"), edited)


def test_a_segment_that_was_shifted_in_its_rows_is_an_edited_one(opened):
    opened.segment(two_organs(), "liver", "spleen")
    count = segment_voxels(opened.scan.segmentation, "liver").sum()
    turn_round(opened, "liver")
    assert segment_voxels(opened.scan.segmentation, "liver").sum() == count
    opened.segment(two_organs(), "liver", "spleen")
    (decision,) = opened.presenter.decisions
    assert "'liver'" in decision.question
    assert names(opened) == ["liver", "liver", "spleen"]


def test_undo_leaves_an_edited_segment_until_the_person_says_so(opened):
    opened.segment(two_organs(), "liver", "spleen")
    opened.segment(shifted(), "liver", "spleen")
    node = opened.scan.segmentation
    newest = segment_ids(node)[0]
    edit(opened, newest)
    edited = segment_voxels(node, newest)
    opened.presenter.undo()
    opened.settle()
    assert sorted(names(opened)) == ["liver", "spleen"]
    np.testing.assert_array_equal(segment_voxels(node, newest), edited)
    (decision,) = opened.presenter.decisions
    assert [choice.text for choice in decision.choices] == ["Keep it", "Remove it too"]
    opened.presenter.decide(decision, decision.choices[1])
    opened.settle()
    assert sorted(names(opened)) == ["liver", "spleen"]
    np.testing.assert_array_equal(segment_voxels(node, "liver"), two_organs() == 1)
    np.testing.assert_array_equal(segment_voxels(node, "spleen"), two_organs() == 2)


def test_an_edited_segment_that_is_kept_stays(opened):
    opened.segment(two_organs(), "liver")
    edit(opened, "liver")
    opened.presenter.undo()
    opened.settle()
    (decision,) = opened.presenter.decisions
    opened.presenter.decide(decision, decision.choices[0])
    assert (names(opened), opened.presenter.decisions) == (["liver"], ())


def test_an_edit_is_still_known_after_saving_and_loading(opened, app, tmp_path):
    opened.segment(two_organs(), "liver", "spleen")
    edit(opened, "liver")
    assert app.io_manager.save_scene(str(tmp_path / "scene.mrb"))
    opened.scene.Clear(0)
    assert app.io_manager.load_scene(str(tmp_path / "scene.mrb"))
    opened.presenter.undo()
    opened.settle()
    assert names(opened) == ["liver"]
    assert len(opened.presenter.decisions) == 1


def test_segments_of_an_expert_stand_together(opened):
    opened.segment(two_organs(), "liver", expert="VISTA3D")
    opened.segment(two_organs(), "fat", expert="CT_TISSUE")
    opened.segment(np.where(two_organs() == 2, 1, 0).astype(np.uint8), "spleen", expert="VISTA3D")
    assert names(opened) == ["liver", "spleen", "fat"]
    assert headings(opened.scan.rows()) == ("VISTA3D 0.5", "", "CT_TISSUE 0.5")
    opened.scan.segmentation.GetSegmentation().AddEmptySegment("", "mine")
    assert headings(opened.scan.rows())[3:] == ("Others",)


def test_headings_in_the_tree_follow_a_segment_that_a_person_adds(opened):
    """Slicer's desktop makes the items of segments, which is played here."""
    import slicer
    from vtkmodules.vtkCommonCore import vtkIdList

    opened.segment(two_organs(), "liver")
    node = opened.scan.segmentation
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(opened.scene)
    parent = hierarchy.GetItemByDataNode(node)
    own = node.GetSegmentation().AddEmptySegment("mine", "mine")
    mark = slicer.vtkMRMLSegmentationNode.GetSegmentIDAttributeName()
    for segment_id in ("liver", own):
        item = hierarchy.CreateHierarchyItem(parent, segment_id, "VirtualBranch")
        hierarchy.SetItemAttribute(item, mark, segment_id)

    def lines() -> list[str]:
        items = vtkIdList()
        hierarchy.GetItemChildren(parent, items)
        return [hierarchy.GetItemName(items.GetId(place)) for place in range(items.GetNumberOfIds())]

    opened.host.run(until=lambda: lines() == ["VISTA3D 0.5", "liver", "Others", "mine"])
    assert opened.scan.rows()[-1].size == "empty"


def test_results_are_filed_beside_the_scan_and_stay_where_the_person_puts_them(opened, scan):
    import slicer

    opened.segment(two_organs(), "liver")
    opened.host.run(until=lambda: find_table(opened.scene, scan) is not None)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(opened.scene)
    segmentation = hierarchy.GetItemByDataNode(opened.scan.segmentation)
    folder = hierarchy.GetItemParent(segmentation)
    assert hierarchy.GetItemName(folder) == "chest: VILA-M3"
    assert hierarchy.GetItemParent(folder) == hierarchy.GetItemParent(hierarchy.GetItemByDataNode(scan))
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(find_table(opened.scene, scan))) == folder
    hierarchy.SetItemParent(segmentation, hierarchy.GetSceneItemID())
    opened.segment(shifted(), "spleen")
    assert hierarchy.GetItemParent(segmentation) == hierarchy.GetSceneItemID()


def test_sizes_are_measured_and_follow_a_persons_edit(opened, scan):
    labels = two_organs()
    opened.segment(labels, "hepatic tumor", "spleen")
    opened.host.run(until=lambda: find_table(opened.scene, scan) is not None)
    voxel = abs(np.linalg.det(MATRIX[:3, :3])) / 1000
    tumour, spleen = opened.scan.rows()
    assert tumour.volume_ml == pytest.approx((labels == 1).sum() * voxel)
    i, j, _ = (part.stop - part.start for part in LIVER)
    sides = [np.array([i, j - 1]), np.array([i - 1, j])]
    assert tumour.longest_mm == pytest.approx(max(np.linalg.norm(side * (0.8, 1.2)) for side in sides))
    assert spleen.longest_mm is None
    assert "mm" in tumour.size
    assert "mm" not in spleen.size
    table = find_table(opened.scene, scan).GetTable()
    assert table.GetValueByName(0, "longest_diameter_mm").ToDouble() == pytest.approx(
        tumour.longest_mm, abs=0.005
    )
    edit(opened, "hepatic tumor")
    opened.host.run(until=lambda: opened.scan.rows()[0].source == "VISTA3D 0.5, edited")
    assert table.GetValueByName(0, "voxels").ToInt() == (labels == 1).sum() - 1
    opened.presenter.undo()
    opened.settle()
    opened.host.run(until=lambda: opened.scan.sizes.of("spleen") is None)
    assert find_table(opened.scene, scan).GetNumberOfRows() == 1


def test_all_are_hidden_or_shown_and_a_name_leads_to_the_newest(opened, scan):
    from VILAM3SlicerLib.scene.views import slice_view

    opened.scan.replaces_earlier = False
    opened.segment(two_organs(), "liver", "spleen")
    opened.segment(np.roll(two_organs(), 3, axis=2), "liver")
    for visible in (False, True):
        opened.scan.show_all(visible)
        assert {row.visible for row in opened.scan.rows()} == {visible}
    red = slice_view(opened.scan._app_logic, "Red").logic.GetSliceNode()
    offsets = []
    for go in (
        lambda: opened.scan.go_to(opened.scan.rows()[0].segment_id),
        lambda: opened.scan.go_to_name("liver"),
        lambda: opened.scan.go_to_name("spleen"),
        lambda: opened.scan.go_to_name("no such thing"),
    ):
        go()
        offsets.append(red.GetSliceOffset())
    first, newest, spleen, nowhere = offsets
    assert newest - first == pytest.approx(3 * MATRIX[2, 2], abs=1e-3)
    assert len({first, newest, spleen}) == 3
    assert nowhere == spleen


def test_what_somebody_hides_or_fades_elsewhere_is_told(opened, scan):
    told = []
    opened.scan.looks.on_change = lambda: told.append(
        [(row.visible, row.opacity) for row in opened.scan.rows()]
    )
    opened.segment(two_organs(), "liver", "spleen")
    first = opened.scan.segmentation
    display, liver = first.GetDisplayNode(), segment_ids(first)[0]
    display.SetSegmentVisibility(liver, False)
    assert told[-1] == [(False, 1.0), (True, 1.0)]
    display.SetSegmentOpacity(liver, 0.25)
    assert told[-1] == [(False, 0.25), (True, 1.0)]
    opened.discussion.open(None)
    told.clear()
    display.SetSegmentVisibility(liver, True)
    assert not told
    opened.discussion.open(scan)
    display.SetSegmentVisibility(liver, False)
    assert told[-1][0] == (False, 0.25)


def test_removing_a_scan_leaves_nothing_of_it(opened, scan):
    import slicer

    from VILAM3SlicerLib.scene.scan_removal import remove_scan

    before = opened.scene.GetNumberOfNodes()
    opened.segment(two_organs(), "liver")
    opened.segment(shifted(), "liver")
    opened.host.run(until=lambda: find_table(opened.scene, scan) is not None)
    opened.discussion.open(None)
    remove_scan(opened.scene, scan)
    assert opened.scene.GetNumberOfNodes() <= before
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(opened.scene)
    assert hierarchy.GetNumberOfItems() <= 1 or not hierarchy.GetItemByName("chest: VILA-M3")
    assert opened.scene.GetNumberOfNodesByClass("vtkMRMLTextNode") == 0
    assert opened.scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 0


def test_undoing_all_leaves_the_scene_as_it_was(opened, scan):
    import slicer

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(opened.scene)
    before = opened.scene.GetNumberOfNodes(), hierarchy.GetNumberOfItems()
    for labels in (two_organs(), shifted()):
        opened.segment(labels, "liver")
    opened.host.run(until=lambda: not opened.scan.surfaces.is_running and not opened.scan.sizes.is_measuring)
    for _ in range(2):
        assert opened.scan.segmentation is not None
        opened.presenter.undo()
        opened.settle()
    opened.host.run(until=lambda: not opened.scan.sizes.is_measuring)
    assert opened.scan.segmentation is None
    scan_alone = 1 - bool(before[1])  # Slicer Core gives the scan an item with our first node
    assert (opened.scene.GetNumberOfNodes(), hierarchy.GetNumberOfItems() - scan_alone) == before
    opened.segment(two_organs(), "spleen")
    assert names(opened) == ["spleen"]


def test_undo_leaves_a_segmentation_that_somebody_added_to(opened):
    import slicer

    opened.segment(two_organs(), "liver")
    own = slicer.vtkSegment()
    own.SetName("mine")
    opened.scan.segmentation.GetSegmentation().AddSegment(own, "mine")
    opened.presenter.undo()
    opened.settle()
    assert names(opened) == ["mine"]


def test_what_was_replaced_is_kept_for_the_last_turns_only(opened):
    from VILAM3SlicerLib.scene.replaced_segments import MAX_TURNS

    for turn in range(MAX_TURNS + 3):
        opened.segment(np.roll(two_organs(), turn % 3, axis=0), "liver")
    kept = opened.scene.GetNodesByClass("vtkMRMLTextNode")
    found = [kept.GetItemAsObject(index).GetName() for index in range(kept.GetNumberOfItems())]
    assert sum(name.startswith("VILA-M3 replaced") for name in found) == MAX_TURNS
    opened.presenter.start_over()
    assert opened.scene.GetNumberOfNodesByClass("vtkMRMLTextNode") == 0


def test_grid_of_segments_is_the_scans(opened, scan):
    opened.segment(two_organs(), "liver")
    opened.segment(shifted(), "liver")
    opened.presenter.undo()
    opened.settle()
    image = segment_of(opened.scan.segmentation, "liver").GetRepresentation(LABELMAP)
    assert image.GetDimensions() == SHAPE
