"""The conversation as text in the scene, so that it is saved with the scene and comes back with it."""

from __future__ import annotations

import json
from typing import Any

from VILAM3SlicerLib.protocol.errors import SceneError

_MARK = "VILAM3.Conversation"
_SCAN = "VILAM3.Scan"


def save_conversation(scene: Any, conversation: dict[str, Any], volume_node: Any = None) -> Any:
    """Keep a conversation, given as JSON values, in place of the one before; returns its text node.

    Args:
        scene: the MRML scene.
        conversation: what ``load_conversation`` shall return.
        volume_node: the scan it is about; a scene may hold one conversation for each scan.
    """
    node = _find(scene, volume_node)
    if node is None:
        node = scene.AddNewNodeByClass("vtkMRMLTextNode", "VILA-M3 conversation")
        node.SetAttribute(_MARK, "1")
        if volume_node is not None:
            node.SetNodeReferenceID(_SCAN, volume_node.GetID())
    node.SetText(json.dumps(conversation, ensure_ascii=False))
    return node


def load_conversation(scene: Any, volume_node: Any = None) -> dict[str, Any] | None:
    """The conversation about a scan, None where there is none.

    Raises:
        SceneError: the text was changed and is no conversation any more.
    """
    node = _find(scene, volume_node)
    if node is None:
        return None
    try:
        conversation = json.loads(node.GetText())
    except (TypeError, ValueError):
        conversation = None
    if not isinstance(conversation, dict):
        raise SceneError(
            f"The text '{node.GetName()}' in the scene cannot be read.",
            "It was set aside; a new conversation begins.",
        )
    return conversation


def discussed_volume(scene: Any) -> Any:
    """The scan whose conversation is in the scene, the first of several; None where there is none."""
    for node in _conversations(scene):
        volume_node = node.GetNodeReference(_SCAN)
        if volume_node is not None:
            return volume_node
    return None


def forget_conversation(scene: Any, volume_node: Any = None) -> None:
    """Remove the conversation about a scan from the scene."""
    node = _find(scene, volume_node)
    if node is not None:
        scene.RemoveNode(node)


def set_conversation_aside(scene: Any, volume_node: Any = None) -> None:
    """Keep the text of an unreadable conversation under another name, out of the way of a new one."""
    node = _find(scene, volume_node)
    if node is not None:
        node.RemoveAttribute(_MARK)
        node.SetName(scene.GenerateUniqueName(f"{node.GetName()} (not readable here)"))


def _find(scene: Any, volume_node: Any) -> Any:
    wanted = volume_node.GetID() if volume_node is not None else None
    found = (node for node in _conversations(scene) if node.GetNodeReferenceID(_SCAN) == wanted)
    return next(found, None)


def _conversations(scene: Any) -> list[Any]:
    nodes = scene.GetNodesByClass("vtkMRMLTextNode")
    texts = [nodes.GetItemAsObject(index) for index in range(nodes.GetNumberOfItems())]
    return [node for node in texts if node.GetAttribute(_MARK)]
