"""Taking a scan out of the scene with all that belongs to it."""

from __future__ import annotations

from typing import Any

from VILAM3SlicerLib.scene.result_folder import remove_folder, remove_node
from VILAM3SlicerLib.scene.scan_nodes import nodes_of_scan
from VILAM3SlicerLib.scene.segmentation import find_segmentation


def remove_scan(scene: Any, volume_node: Any) -> None:
    """Remove a scan, its segments, sizes, conversation and report, and its own parent transform."""
    transform = volume_node.GetParentTransformNode()
    for node in (find_segmentation(scene, volume_node), *nodes_of_scan(scene, volume_node)):
        if node is not None:
            remove_node(scene, node)
    remove_folder(scene, volume_node)
    for node in (volume_node, transform):
        if node is not None:
            remove_node(scene, node)
