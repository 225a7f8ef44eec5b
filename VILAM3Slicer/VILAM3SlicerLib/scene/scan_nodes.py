"""Nodes of ours that belong to a scan: found by a mark and a reference, so that names may be changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.protocol.phrases import phrases

_ = phrases(__name__)

_SCAN = "VILAM3.Scan"
"""Role of the reference from a node of ours to its scan."""

TEXT, TABLE = "vtkMRMLTextNode", "vtkMRMLTableNode"


_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def safe_text(text: str) -> str:
    """A text with which a scene can be saved and opened again.

    Characters that XML has not (control characters, halves of surrogate pairs) become question marks: Slicer
    writes them all the same and cannot read its file then; a half pair ends the process.
    """
    return _NO_XML.sub("?", text)


def safe_name(name: str) -> str:
    """A node's name with which a scene can be saved and opened again.

    Slicer 5.11 to 5.13 and its Core write the names of files, made of node names, into the scene without
    escaping an ampersand. The name of a segment may have one, its id not.
    """
    return safe_text(name).replace("&", "+")


def check_name(node: Any) -> None:
    """Refuse a name, given by somebody else, with which a saved scene cannot be opened again.

    Raises:
        SceneError: it says which characters, and what to do.
    """
    name = node.GetName() or ""
    spoiling = sorted({one for one in name if one != safe_name(one)})
    if spoiling:
        told = " or ".join(one if one.isprintable() else f"U+{ord(one):04X}" for one in spoiling)
        raise SceneError(
            _(
                "A saved scene with '{name}' could not be opened again: Slicer cannot read back "
                "a name with {told}."
            ).format(name=safe_text(name), told=told),
            _("Rename the scan before you save (double-click it in the module Data)."),
        )


def set_text(node: Any, text: str) -> None:
    """Write a text node."""
    node.SetText(safe_text(text))


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
