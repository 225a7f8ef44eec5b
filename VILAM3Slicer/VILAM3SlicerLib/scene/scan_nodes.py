"""Nodes of ours that belong to a scan: found by a mark and a reference, so that names may be changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from VILAM3SlicerLib.protocol.characters import whole_characters

_SCAN = "VILAM3.Scan"
"""Role of the reference from a node of ours to its scan."""

TEXT, TABLE = "vtkMRMLTextNode", "vtkMRMLTableNode"


def safe_name(name: str) -> str:
    """A node's name with which a scene can be saved.

    Slicer 5.11 and its Core write a scene file that they cannot read where a name has an ampersand.
    """
    return name.replace("&", "+")


def set_text(node: Any, text: str) -> None:
    """Write a text node."""
    node.SetText(whole_characters(text))


def find_node(scene: Any, kind: str, mark: str, volume_node: Any) -> Any:
    """The node of a class and mark that belongs to a scan (None: to no scan); None where there is none."""
    wanted = volume_node.GetID() if volume_node is not None else None
    found = (node for node in marked_nodes(scene, kind, mark) if node.GetNodeReferenceID(_SCAN) == wanted)
    return next(found, None)


def add_node(scene: Any, kind: str, mark: str, volume_node: Any, name: str) -> Any:
    """A new node of a class and mark that belongs to a scan."""
    node = scene.AddNewNodeByClass(kind, scene.GenerateUniqueName(safe_name(name)))
    node.SetAttribute(mark, "1")
    if volume_node is not None:
        node.SetNodeReferenceID(_SCAN, volume_node.GetID())
    return node


def scan_of(node: Any) -> Any:
    """The scan that a node of ours belongs to, None where it has left the scene."""
    return node.GetNodeReference(_SCAN)


def marked_nodes(scene: Any, kind: str, mark: str) -> list[Any]:
    """All nodes of a class that bear a mark."""
    return [node for node in _nodes(scene, kind) if node.GetAttribute(mark)]


def nodes_of_scan(scene: Any, volume_node: Any) -> list[Any]:
    """All texts and tables of ours that belong to a scan."""
    return [
        node
        for kind in (TEXT, TABLE)
        for node in _nodes(scene, kind)
        if node.GetNodeReferenceID(_SCAN) == volume_node.GetID()
    ]


def adopt_texts(scene: Any, volume_node: Any, other_scene: Any, other_volume_node: Any) -> None:
    """Copy the texts that belong to a scan of another scene, for a scan of this one."""
    for text in nodes_of_scan(other_scene, other_volume_node):
        if text.IsA(TEXT):
            node = scene.AddNewNodeByClass(TEXT, text.GetName())
            node.SetText(text.GetText())
            for name in text.GetAttributeNames() or ():
                node.SetAttribute(name, text.GetAttribute(name))
            node.SetNodeReferenceID(_SCAN, volume_node.GetID())


def _nodes(scene: Any, kind: str) -> Iterator[Any]:
    nodes = scene.GetNodesByClass(kind)
    return (nodes.GetItemAsObject(index) for index in range(nodes.GetNumberOfItems()))
