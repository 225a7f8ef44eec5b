"""The sizes of a scan's segments as a table node, kept in step with the segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from VILAM3SlicerLib.scene.measurements import Measurement, write_table
from VILAM3SlicerLib.scene.result_folder import file_result, remove_node
from VILAM3SlicerLib.scene.scan_nodes import TABLE, add_node, find_node

_MARK = "VILAM3.Sizes"


def find_table(scene: Any, volume_node: Any) -> Any:
    """The table of a scan's sizes, None where there is none."""
    return find_node(scene, TABLE, _MARK, volume_node)


def keep_table(scene: Any, volume_node: Any, measurements: Sequence[Measurement]) -> None:
    """Write the sizes into the scan's table; without segments there is none."""
    node = find_table(scene, volume_node)
    if not measurements:
        if node is not None:
            remove_node(scene, node)
        return
    if node is None:
        node = add_node(scene, TABLE, _MARK, volume_node, f"{volume_node.GetName()} segment sizes")
        file_result(scene, volume_node, node)
    write_table(node, measurements)
