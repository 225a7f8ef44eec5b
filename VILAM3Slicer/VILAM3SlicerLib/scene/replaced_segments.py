"""Segments that a later turn replaced, kept in the scene so that undo brings them back, after loading too."""

from __future__ import annotations

import json
from typing import Any

from VILAM3SlicerLib.protocol.characters import load_json
from VILAM3SlicerLib.scene.packed_segments import Packed
from VILAM3SlicerLib.scene.result_folder import file_result, remove_node
from VILAM3SlicerLib.scene.scan_nodes import TEXT, add_node, marked_nodes, scan_of

MAX_TURNS = 10
"""Of how many turns, the latest, it is kept what they replaced: a scene must not grow with each question."""

_MARK = "VILAM3.Replaced"
_TURN = "VILAM3.Turn"


def keep_replaced(scene: Any, volume_node: Any, turn_id: str, packed: Packed) -> None:
    """Keep what a turn replaced, beside what it replaced before."""
    node = _of_turn(scene, volume_node, turn_id)
    if node is None:
        node = add_node(scene, TEXT, _MARK, volume_node, "VILA-M3 replaced segments")
        node.SetAttribute(_TURN, turn_id)
        node.SetHideFromEditors(True)
        file_result(scene, volume_node, node)
    node.SetText(json.dumps([*_read(node), packed]))
    for old in _all(scene, volume_node)[:-MAX_TURNS]:
        remove_node(scene, old)


def take_replaced(scene: Any, volume_node: Any, turn_id: str) -> list[Packed]:
    """What a turn replaced, the latest first; it is kept no longer."""
    node = _of_turn(scene, volume_node, turn_id)
    if node is None:
        return []
    packed = _read(node)
    remove_node(scene, node)
    return packed[::-1]


def forget_replaced(scene: Any, volume_node: Any) -> None:
    """Keep nothing that was replaced about a scan."""
    for node in _all(scene, volume_node):
        remove_node(scene, node)


def _read(node: Any) -> list[Packed]:
    """A text that somebody changed counts as none: it only serves undo."""
    try:
        packed = load_json(node.GetText() or "[]")
    except ValueError:
        packed = []
    return packed if isinstance(packed, list) else []


def _of_turn(scene: Any, volume_node: Any, turn_id: str) -> Any:
    found = (node for node in _all(scene, volume_node) if node.GetAttribute(_TURN) == turn_id)
    return next(found, None)


def _all(scene: Any, volume_node: Any) -> list[Any]:
    return [node for node in marked_nodes(scene, TEXT, _MARK) if scan_of(node) is volume_node]
