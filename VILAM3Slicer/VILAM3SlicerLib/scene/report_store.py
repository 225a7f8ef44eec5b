"""A scan's report in the scene: the draft that is worked on, and the text that was put there to be read."""

from __future__ import annotations

import json
from typing import Any

from VILAM3SlicerLib.protocol.characters import load_json
from VILAM3SlicerLib.scene.result_folder import file_result, remove_node
from VILAM3SlicerLib.scene.scan_nodes import TEXT, add_node, find_node, set_text

_DRAFT, _TEXT = "VILAM3.ReportDraft", "VILAM3.Report"


def save_draft(scene: Any, volume_node: Any, draft: dict[str, Any] | None) -> None:
    """Keep a draft, given as JSON values, in place of the one before; None forgets it."""
    if draft is not None:
        node = _node(scene, volume_node, _DRAFT, "VILA-M3 report draft")
        set_text(node, json.dumps(draft, ensure_ascii=False))
        return
    node = find_node(scene, TEXT, _DRAFT, volume_node)
    if node is not None:
        remove_node(scene, node)


def load_draft(scene: Any, volume_node: Any) -> dict[str, Any] | None:
    """The draft about a scan; None where there is none, or a text that is none any more."""
    node = find_node(scene, TEXT, _DRAFT, volume_node)
    try:
        draft = load_json(node.GetText()) if node is not None else None
    except ValueError:
        return None
    return draft if isinstance(draft, dict) else None


def put_report(scene: Any, volume_node: Any, text: str) -> Any:
    """Put the report as text beside its scan, in place of the one before; returns its text node."""
    node = _node(scene, volume_node, _TEXT, f"{volume_node.GetName()} report")
    set_text(node, text)
    return node


def _node(scene: Any, volume_node: Any, mark: str, name: str) -> Any:
    node = find_node(scene, TEXT, mark, volume_node)
    if node is None:
        node = add_node(scene, TEXT, mark, volume_node, name)
        node.SetHideFromEditors(mark == _DRAFT)
        file_result(scene, volume_node, node)
    return node
