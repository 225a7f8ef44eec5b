"""The results of a scan in one folder of the subject hierarchy, beside the scan; see ``expert_groups``."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import slicer
from vtkmodules.vtkCommonCore import vtkIdList

_FOLDER = "VILAM3.Results"


def file_result(scene: Any, volume_node: Any, node: Any) -> None:
    """Put a new node of ours into its scan's folder; where the person moves it later it stays."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    if hierarchy is None:
        return
    item = _item(hierarchy, node, hierarchy.GetSceneItemID())
    hierarchy.SetItemParent(item, _folder(hierarchy, volume_node))


def remove_node(scene: Any, node: Any) -> None:
    """Remove a node with its item: Slicer's desktop would take the item along, Slicer Core does not.

    A folder of ours in which nothing is left then goes, too.
    """
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = hierarchy.GetItemByDataNode(node) if hierarchy is not None else 0
    folder = hierarchy.GetItemParent(item) if item else 0
    if item:
        hierarchy.RemoveItem(item, False)
    scene.RemoveNode(node)
    if folder and _is_empty_folder(hierarchy, folder):
        hierarchy.RemoveItem(folder)


def remove_folder(scene: Any, volume_node: Any) -> None:
    """Remove the scan's folder if nothing is left in it."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    scan = hierarchy.GetItemByDataNode(volume_node) if hierarchy is not None else 0
    folder = _find_folder(hierarchy, scan) if scan else 0
    if folder and _is_empty_folder(hierarchy, folder):
        hierarchy.RemoveItem(folder)


def _is_empty_folder(hierarchy: Any, item: int) -> bool:
    """Whether an item is a folder of ours, not a scan, and holds nothing."""
    if not hierarchy.GetItemAttribute(item, _FOLDER) or hierarchy.GetItemDataNode(item) is not None:
        return False
    return bool(hierarchy.GetNumberOfItemChildren(item) == 0)


def _folder(hierarchy: Any, volume_node: Any) -> int:
    scan = _item(hierarchy, volume_node, hierarchy.GetSceneItemID())
    folder = _find_folder(hierarchy, scan)
    if not folder:
        name = f"{volume_node.GetName()}: VILA-M3"
        folder = int(hierarchy.CreateFolderItem(hierarchy.GetItemParent(scan), name))
        token = uuid4().hex
        for item in (scan, folder):
            hierarchy.SetItemAttribute(item, _FOLDER, token)
    return folder


def _find_folder(hierarchy: Any, scan: int) -> int:
    """The folder that bears the mark of the scan's item, 0 for none; items are renumbered on loading."""
    token = hierarchy.GetItemAttribute(scan, _FOLDER)
    items = vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items, True)
    for place in range(items.GetNumberOfIds() if token else 0):
        item = items.GetId(place)
        if item != scan and hierarchy.GetItemAttribute(item, _FOLDER) == token:
            return int(item)
    return 0


def _item(hierarchy: Any, node: Any, parent: int) -> int:
    """The node's item; Slicer's desktop makes one with each node, Slicer Core does not."""
    return int(hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(parent, node))
