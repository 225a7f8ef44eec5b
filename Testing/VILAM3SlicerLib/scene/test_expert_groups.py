"""Segments under the headings of their experts in the subject hierarchy, as the module Data shows it.

Slicer's desktop makes an item for each segment. Here that is played as its plug-in does it: the item of a new
segment goes to the place of the segment's number, moved items move the segments, and segments in a new order
move their items to the end.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from Testing.VILAM3SlicerLib.scene.test_segmentation import SHAPE, info, sent
from VILAM3SlicerLib.scene.expert_groups import OTHERS, put_headings_in_steps
from VILAM3SlicerLib.scene.segment_origin import Origin
from VILAM3SlicerLib.scene.segmentation import create_segmentation, segment_ids
from VILAM3SlicerLib.scene.steps import finish

LIVER, SPLEEN, BONE, FAT = info("liver", 1), info("spleen", 2), info("bone", 1), info("fat", 2)


class Tree:
    """A segmentation in the tree, with the plug-in's part played."""

    def __init__(self, scene, node) -> None:
        import slicer

        self._id = slicer.vtkMRMLSegmentationNode.GetSegmentIDAttributeName()
        self._hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        self._node = node
        self._moves = 0
        self._is_ordering = False
        self._parent = self._hierarchy.GetItemByDataNode(node) or self._hierarchy.CreateItem(
            self._hierarchy.GetSceneItemID(), node
        )
        kinds, segmentation = slicer.vtkSegmentation, node.GetSegmentation()
        moved = self._hierarchy.SubjectHierarchyItemChildrenReorderedEvent
        self._observers = [
            (segmentation, segmentation.AddObserver(kinds.SegmentAdded, self._added)),
            (segmentation, segmentation.AddObserver(kinds.SegmentRemoved, self._removed)),
            (segmentation, segmentation.AddObserver(kinds.SegmentsOrderModified, self._ordered)),
            (self._hierarchy, self._hierarchy.AddObserver(moved, self._moved)),
        ]

    def close(self) -> None:
        """Let go of all; a scene goes on with a hierarchy that is still referred to after it was cleared."""
        for seen, tag in self._observers:
            seen.RemoveObserver(tag)
        self._observers.clear()
        self._hierarchy = self._node = None

    @property
    def lines(self) -> list[str]:
        return [self._hierarchy.GetItemName(item) for item in self.items]

    @property
    def moves(self) -> int:
        """How often something was moved since this was read last."""
        moves, self._moves = self._moves, 0
        return moves

    @property
    def items(self) -> list[int]:
        from vtkmodules.vtkCommonCore import vtkIdList

        items = vtkIdList()
        self._hierarchy.GetItemChildren(self._parent, items)
        return [items.GetId(place) for place in range(items.GetNumberOfIds())]

    def parents(self) -> set[int]:
        return {self._hierarchy.GetItemParent(item) for item in self.items}

    def _segments(self) -> dict[str, int]:
        found = {self._hierarchy.GetItemAttribute(item, self._id): item for item in self.items}
        return {segment_id: item for segment_id, item in found.items() if segment_id}

    def _added(self, *_: object) -> None:
        for place, segment_id in enumerate(segment_ids(self._node)):
            if segment_id not in self._segments():
                name = self._node.GetSegmentation().GetSegment(segment_id).GetName()
                item = self._hierarchy.CreateHierarchyItem(self._parent, name, "VirtualBranch", place)
                self._hierarchy.SetItemAttribute(item, self._id, segment_id)

    def _removed(self, *_: object) -> None:
        present = segment_ids(self._node)
        for segment_id, item in self._segments().items():
            if segment_id not in present:
                self._hierarchy.RemoveItem(item)

    def _ordered(self, *_: object) -> None:
        items, self._is_ordering = self._segments(), True
        before = self.items[-1]
        for segment_id in reversed(segment_ids(self._node)):
            if items[segment_id] != before:
                self._hierarchy.MoveItem(items[segment_id], before)
                before = items[segment_id]
        self._is_ordering = False

    def _moved(self, *_: object) -> None:
        self._moves += 1
        if not self._is_ordering and set(self._segments()) == set(segment_ids(self._node)):
            self._node.GetSegmentation().ReorderSegments(list(self._segments()))


@pytest.fixture
def scan(make_volume, oblique):
    return make_volume(np.zeros(SHAPE, np.int16), oblique)


@pytest.fixture
def tree(scene, scan) -> Iterator[Tree]:
    tree = Tree(scene, create_segmentation(scene, scan))
    yield tree
    tree.close()


@pytest.fixture
def add(results, scan):
    labels = np.random.default_rng(5).integers(0, 3, SHAPE).astype(np.uint8)

    def add(turn: str, expert: str, *segments) -> None:
        results.add(scan, sent(labels, scan), segments, Origin(turn, expert, "1.1"))

    return add


def test_each_experts_segments_stand_under_its_heading(tree, add, scan, scene):
    add("1", "VISTA3D", LIVER)
    assert tree.lines == ["VISTA3D 1.1", "liver"]
    add("2", "CT_TISSUE", BONE, FAT)
    add("3", "VISTA3D", SPLEEN)
    assert tree.lines == ["VISTA3D 1.1", "liver", "spleen", "CT_TISSUE 1.1", "bone", "fat"]
    assert segment_ids(tree._node) == ["liver", "spleen", "bone", "fat"]
    assert tree.parents() == {tree._parent}, "or Slicer would not know the segments' segmentation"


def test_headings_go_with_their_segments(tree, add, results, scan):
    add("1", "VISTA3D", LIVER)
    add("2", "CT_TISSUE", BONE)
    results.remove_turn(scan, "1")
    assert tree.lines == ["CT_TISSUE 1.1", "bone"]
    results.remove_turn(scan, "2")
    assert tree.lines == []


def test_a_segment_that_a_person_adds_gets_to_the_others(tree, add):
    add("1", "VISTA3D", LIVER, SPLEEN)
    add("2", "CT_TISSUE", BONE, FAT)
    tree._node.GetSegmentation().AddEmptySegment("", "mine")
    finish(put_headings_in_steps(tree._node))
    assert tree.lines == ["VISTA3D 1.1", "liver", "spleen", "CT_TISSUE 1.1", "bone", "fat", OTHERS, "mine"]


def test_several_segments_of_a_person_at_once_get_there_too(tree, add):
    add("1", "VISTA3D", LIVER, SPLEEN)
    add("2", "CT_TISSUE", BONE, FAT)
    for name in ("mine", "mine too"):
        tree._node.GetSegmentation().AddEmptySegment(name, name)
    finish(put_headings_in_steps(tree._node))
    assert tree.lines[:3] == ["VISTA3D 1.1", "liver", "spleen"]
    assert tree.lines[3:6] == ["CT_TISSUE 1.1", "bone", "fat"]
    assert tree.lines[6] == OTHERS
    assert sorted(tree.lines[7:]) == ["mine", "mine too"]
    assert segment_ids(tree._node)[:4] == ["liver", "spleen", "bone", "fat"]


def test_nothing_is_moved_where_all_stands_right(tree, add):
    add("1", "VISTA3D", LIVER, SPLEEN)
    add("2", "CT_TISSUE", BONE, FAT)
    tree.moves  # noqa: B018
    finish(put_headings_in_steps(tree._node))
    assert tree.moves == 0


def test_new_and_returning_segments_go_to_their_place_at_once(tree, add, results, scan):
    """To order them afterwards, Slicer moves each line of its trees."""
    import slicer

    add("1", "VISTA3D", LIVER, SPLEEN)
    add("2", "CT_TISSUE", BONE)
    ordered: list[object] = []
    event = slicer.vtkSegmentation.SegmentsOrderModified
    tag = tree._node.GetSegmentation().AddObserver(event, lambda *_: ordered.append(None))
    add("3", "VISTA3D", info("aorta", 1), SPLEEN)
    assert segment_ids(tree._node) == ["liver", "aorta", "spleen", "bone"]
    results.remove_turn(scan, "3")
    assert segment_ids(tree._node) == ["liver", "spleen", "bone"]
    tree._node.GetSegmentation().RemoveObserver(tag)
    assert not ordered


def test_few_items_are_moved(tree, add):
    """Slicer draws its trees anew with each."""
    add("1", "VISTA3D", LIVER, SPLEEN, info("aorta", 1), info("colon", 1))
    assert tree.moves == 1
    add("2", "CT_TISSUE", BONE, FAT)
    assert tree.moves == 2
    tree._node.GetSegmentation().AddEmptySegment("", "mine")
    finish(put_headings_in_steps(tree._node))
    assert tree.moves <= 4


def test_segments_of_a_person_alone_have_no_heading(tree):
    tree._node.GetSegmentation().AddEmptySegment("", "mine")
    finish(put_headings_in_steps(tree._node))
    assert tree.lines == ["mine"]


def test_headings_come_back_once_with_a_saved_scene(tree, add, app, tmp_path):
    add("1", "VISTA3D", LIVER)
    add("2", "CT_TISSUE", BONE)
    before = tree.lines
    assert app.io_manager.save_scene(str(tmp_path / "scene.mrb"))
    app.scene.Clear(0)
    assert app.io_manager.load_scene(str(tmp_path / "scene.mrb"))
    loaded = Tree(app.scene, app.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode"))
    assert loaded.lines == before
    finish(put_headings_in_steps(loaded._node))
    assert loaded.lines == before
    loaded.close()


def test_without_items_for_segments_as_in_slicer_core_there_are_no_headings(add, scene):
    import slicer

    add("1", "VISTA3D", LIVER)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    node = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    assert hierarchy.GetNumberOfItemChildren(hierarchy.GetItemByDataNode(node)) == 0
