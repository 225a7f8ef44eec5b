"""Taking a scan out of the scene with all that belongs to it."""

from __future__ import annotations

from typing import Any

from VILAM3SlicerLib.scene.conversation_store import forget_conversation
from VILAM3SlicerLib.scene.segmentation import find_segmentation


def remove_scan(scene: Any, volume_node: Any) -> None:
    """Remove a scan, its segments, its conversation and its own parent transform."""
    forget_conversation(scene, volume_node)
    transform = volume_node.GetParentTransformNode()
    for node in (find_segmentation(scene, volume_node), volume_node, transform):
        if node is not None:
            scene.RemoveNode(node)
