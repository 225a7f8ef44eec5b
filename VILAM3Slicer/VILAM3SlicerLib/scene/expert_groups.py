"""The segments of each expert together, under a heading of their own in Slicer's tree of the scene.

Slicer takes the item above a segment's item for its segmentation. Below a folder for each expert a segment
has no eye, no colour and no tooltip, Slicer makes a second item for it, and removing either leaves the other
one (tried in Slicer 5.13; saving keeps it so). So the headings are items that hold nothing, in the
segmentation, each before the first segment of its expert. Segment Editor and all else that works on segments
does not see them; the plug-in passes over items that are no segments, at times with a debug line in the log.

Slicer's desktop makes an item for each segment; Slicer Core does not, and there are no headings there.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby
from typing import Any

import slicer
from vtkmodules.vtkCommonCore import vtkIdList

from VILAM3SlicerLib.scene.segment_origin import read_origin
from VILAM3SlicerLib.scene.segmentation import segment_ids, segment_of
from VILAM3SlicerLib.scene.steps import Steps

OTHERS = "Others"
"""Above segments that no expert made."""

_ROUNDS = 4
_HEADING = "VILAM3.Heading"
_SEGMENT = slicer.vtkMRMLSegmentationNode.GetSegmentIDAttributeName()


def order_by_expert(segmentation_node: Any) -> None:
    """Let the segments of each expert stand together, in the order in which they came; others last."""
    ids = segment_ids(segmentation_node)
    experts = [_expert(segmentation_node, one) for one in ids]
    first = {expert: place for place, expert in reversed(list(enumerate(experts)))} | {"": len(ids)}
    ordered = [one for _, one in sorted(zip(experts, ids, strict=True), key=lambda pair: first[pair[0]])]
    if ordered != ids:
        segmentation_node.GetSegmentation().ReorderSegments(ordered)


def follower(segmentation_node: Any, segment: Any) -> str:
    """The id of the segment before which a new one has its place among its expert's; empty for the end.

    To order all of them later costs Slicer a move of each line in each of its trees.
    """
    ids = segment_ids(segmentation_node)
    origin = read_origin(segment)
    experts = [_expert(segmentation_node, one) for one in ids]
    if origin is None or origin.expert not in experts:
        return ""
    place = len(ids) - experts[::-1].index(origin.expert)
    return ids[place] if place < len(ids) else ""


def remove_headings(segmentation_node: Any) -> None:
    """Take the headings away; Slicer puts new segments to wrong places where other items stand between."""
    _Line(*_place(segmentation_node)).remove_headings()


def put_headings_in_steps(segmentation_node: Any) -> Steps[None]:
    """Put a heading before the segments of each expert; what stands right already is not touched.

    Slicer puts the line of a segment that a person adds some lines too high, and answers to the first move of
    any line by ordering the segments as their lines are then. So segments are put right before headings, and
    all is looked at again.
    """
    for _ in range(_ROUNDS):
        order_by_expert(segmentation_node)
        moved = yield from _put_segments(segmentation_node)
        moved += yield from _put_headings(segmentation_node)
        if not moved:
            return


def _put_segments(segmentation_node: Any) -> Steps[int]:
    """Bring the lines of the segments into the segments' order; how many were moved."""
    line = _Line(*_place(segmentation_node))
    items = line.segments
    wanted = [items[one] for one in segment_ids(segmentation_node) if one in items]
    return (yield from line.order(wanted))


def _put_headings(segmentation_node: Any) -> Steps[int]:
    """Put each heading before its group, and remove those without one; how many lines were moved."""
    line = _Line(*_place(segmentation_node))
    items = line.segments
    present = [one for one in segment_ids(segmentation_node) if one in items]
    wanted: list[int] = []
    moved = 0
    for label, ids in groupby(present, key=lambda one: _label(segmentation_node, one)):
        group = [items[one] for one in ids]
        if wanted or label != OTHERS:
            heading = line.heading(label, besides=wanted)
            moved += line.move(heading, before=group[0])
            wanted.append(heading)
        wanted += group
        yield
    line.remove_headings(besides=wanted)
    return moved


def expert_label(segment: Any) -> str:
    """The expert that made a segment with its version, empty where none did."""
    origin = read_origin(segment)
    return f"{origin.expert} {origin.version}" if origin else ""


class _Line:
    """The lines below a segmentation in the tree. Slicer draws its trees anew for each move."""

    def __init__(self, hierarchy: Any, parent: int) -> None:
        self._hierarchy = hierarchy
        self._parent = parent

    @property
    def _items(self) -> list[int]:
        return _children(self._hierarchy, self._parent)

    @property
    def segments(self) -> dict[str, int]:
        """The items of segments by the segments' ids."""
        found = {self._hierarchy.GetItemAttribute(one, _SEGMENT): one for one in self._items}
        return {segment_id: item for segment_id, item in found.items() if segment_id}

    def heading(self, label: str, besides: Collection[int]) -> int:
        """The heading of this name, made if there is none besides some that are in use."""
        for item in self._items:
            if item not in besides and self._hierarchy.GetItemAttribute(item, _HEADING) == label:
                return item
        item = int(self._hierarchy.CreateFolderItem(self._parent, label))
        self._hierarchy.SetItemAttribute(item, _HEADING, label)
        return item

    def move(self, item: int, before: int) -> bool:
        """Let an item stand right before another one; whether it did not."""
        items = self._items
        place = items.index(item) + 1
        if items[place : place + 1] == [before]:
            return False
        self._hierarchy.MoveItem(item, before)
        return True

    def order(self, wanted: Sequence[int]) -> Steps[int]:
        """Bring some items into an order, whatever stands between them; how many were moved."""
        moved, following, meant = 0, 0, set(wanted)
        for item in reversed(wanted):
            line = [one for one in self._items if one in meant]
            if line == list(wanted):
                break
            place = line.index(item) + 1
            if line[place : place + 1] != ([following] if following else []):
                self._hierarchy.MoveItem(item, following)
                moved += 1
                yield
            following = item
        return moved

    def remove_headings(self, besides: Collection[int] = ()) -> None:
        """Remove the headings, but for some."""
        for item in self._items:
            if item not in besides and self._hierarchy.HasItemAttribute(item, _HEADING):
                self._hierarchy.RemoveItem(item)


def _place(segmentation_node: Any) -> tuple[Any, int]:
    """The hierarchy of the node's scene and the node's item in it, 0 for none."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(segmentation_node.GetScene())
    return hierarchy, hierarchy.GetItemByDataNode(segmentation_node) if hierarchy is not None else 0


def _children(hierarchy: Any, parent: int) -> list[int]:
    if not parent:
        return []
    items = vtkIdList()
    hierarchy.GetItemChildren(parent, items)
    return [items.GetId(place) for place in range(items.GetNumberOfIds())]


def _label(segmentation_node: Any, segment_id: str) -> str:
    return expert_label(segment_of(segmentation_node, segment_id)) or OTHERS


def _expert(segmentation_node: Any, segment_id: str) -> str:
    origin = read_origin(segment_of(segmentation_node, segment_id))
    return origin.expert if origin else ""
