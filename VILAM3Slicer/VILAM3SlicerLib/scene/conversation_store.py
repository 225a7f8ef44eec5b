"""The conversation as text in the scene, so that it is saved with the scene and comes back with it."""

from __future__ import annotations

import json
from typing import Any

from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.scene.result_folder import file_result, remove_node
from VILAM3SlicerLib.scene.scan_nodes import TEXT, add_node, find_node, marked_nodes, scan_of

_MARK = "VILAM3.Conversation"


def save_conversation(scene: Any, conversation: dict[str, Any], volume_node: Any = None) -> Any:
    """Keep a conversation, given as JSON values, in place of the one before; returns its text node.

    Args:
        scene: the MRML scene.
        conversation: what ``load_conversation`` shall return.
        volume_node: the scan it is about; a scene may hold one conversation for each scan.
    """
    node = find_node(scene, TEXT, _MARK, volume_node)
    if node is None:
        node = add_node(scene, TEXT, _MARK, volume_node, "VILA-M3 conversation")
        if volume_node is not None:
            file_result(scene, volume_node, node)
    node.SetText(json.dumps(conversation, ensure_ascii=False))
    return node


def load_conversation(scene: Any, volume_node: Any = None) -> dict[str, Any] | None:
    """The conversation about a scan, None where there is none.

    Raises:
        SceneError: the text was changed and is no conversation any more.
    """
    node = find_node(scene, TEXT, _MARK, volume_node)
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
    scans = (scan_of(node) for node in marked_nodes(scene, TEXT, _MARK))
    return next((scan for scan in scans if scan is not None), None)


def forget_conversation(scene: Any, volume_node: Any = None) -> None:
    """Remove the conversation about a scan from the scene."""
    node = find_node(scene, TEXT, _MARK, volume_node)
    if node is not None:
        remove_node(scene, node)


def set_conversation_aside(scene: Any, volume_node: Any = None) -> None:
    """Keep the text of an unreadable conversation under another name, out of the way of a new one."""
    node = find_node(scene, TEXT, _MARK, volume_node)
    if node is not None:
        node.RemoveAttribute(_MARK)
        node.SetName(scene.GenerateUniqueName(f"{node.GetName()} (not readable here)"))
