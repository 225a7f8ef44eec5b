"""The conversation as text in the scene, so that it is saved with the scene and comes back with it.

Its images stand in texts of their own, each written once: a conversation is kept after every turn, and would
else cost more with each.
"""

from __future__ import annotations

import json
from typing import Any

from VILAM3SlicerLib.protocol.characters import load_json, whole_characters
from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.protocol.phrases import phrases
from VILAM3SlicerLib.scene.result_folder import file_result, remove_node
from VILAM3SlicerLib.scene.scan_nodes import TEXT, add_node, find_node, marked_nodes, scan_of

_ = phrases(__name__)

_MARK = "VILAM3.Conversation"
_IMAGES = "VILAM3.Images"
"""Mark of the texts with images; its value are their names, so that the text need not be read for them."""


class TurnTexts:
    """The JSON of turns, each made once however often its conversation is kept."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[object, str]] = {}

    def of(self, conversation: dict[str, Any]) -> str:
        """The JSON of a conversation; a turn counts as the same as long as it is the same object."""
        turns = conversation.get("turns", [])
        self._made = {id(turn): self._made.get(id(turn)) or (turn, _json(turn)) for turn in turns}
        rest = _json({name: value for name, value in conversation.items() if name != "turns"})
        joined = ", ".join(self._made[id(turn)][1] for turn in turns)
        return f'{{"turns": [{joined}]{", " * (rest != "{}")}{rest[1:]}'


def save_conversation(
    scene: Any, conversation: dict[str, Any], volume_node: Any = None, texts: TurnTexts | None = None
) -> Any:
    """Keep a conversation, given as JSON values, in place of the one before; returns its text node.

    Args:
        scene: the MRML scene.
        conversation: what ``load_conversation`` shall return.
        volume_node: the scan it is about; a scene may hold one conversation for each scan.
        texts: what was made the last time, for a conversation that is kept again and again.
    """
    node = find_node(scene, TEXT, _MARK, volume_node)
    if node is None:
        node = add_node(scene, TEXT, _MARK, volume_node, "VILA-M3 conversation")
        if volume_node is not None:
            file_result(scene, volume_node, node)
    if "images" in conversation:
        _save_images(scene, conversation["images"], volume_node)
        conversation = {**conversation, "images": {}}
    node.SetText((texts or TurnTexts()).of(conversation))
    return node


def load_conversation(scene: Any, volume_node: Any = None) -> dict[str, Any] | None:
    """The conversation about a scan, None where there is none.

    Raises:
        SceneError: the text was changed and is no conversation any more.
    """
    node = find_node(scene, TEXT, _MARK, volume_node)
    if node is None:
        return None
    conversation = _read(node)
    if conversation is not None and "images" in conversation:
        for images in map(_read, _image_nodes(scene, volume_node)):
            conversation["images"] |= images or {}
    if conversation is None:
        raise SceneError(
            _("The text '{name}' in the scene cannot be read.").format(name=node.GetName()),
            _("It was set aside; a new conversation begins."),
        )
    return conversation


def discussed_volume(scene: Any) -> Any:
    """The scan whose conversation is in the scene, the first of several; None where there is none."""
    scans = (scan_of(node) for node in marked_nodes(scene, TEXT, _MARK))
    return next((scan for scan in scans if scan is not None), None)


def forget_conversation(scene: Any, volume_node: Any = None) -> None:
    """Remove the conversation about a scan from the scene."""
    node = find_node(scene, TEXT, _MARK, volume_node)
    for one in (node, *_image_nodes(scene, volume_node)):
        if one is not None:
            remove_node(scene, one)


def set_conversation_aside(scene: Any, volume_node: Any = None) -> None:
    """Keep the text of an unreadable conversation under another name, out of the way of a new one."""
    node = find_node(scene, TEXT, _MARK, volume_node)
    if node is not None:
        node.RemoveAttribute(_MARK)
        node.SetName(scene.GenerateUniqueName(f"{node.GetName()} (not readable here)"))


def _json(value: object) -> str:
    return whole_characters(json.dumps(value, ensure_ascii=False))


def _read(node: Any) -> dict[str, Any] | None:
    """The JSON object in a text, None where it holds none."""
    try:
        value = load_json(node.GetText())
    except (TypeError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _save_images(scene: Any, images: dict[str, str], volume_node: Any) -> None:
    """Add those that are new; texts whose images are all in use no more go."""
    kept: set[str] = set()
    for node in _image_nodes(scene, volume_node):
        names = set(node.GetAttribute(_IMAGES).split(","))
        if names & images.keys():
            kept |= names
        else:
            remove_node(scene, node)
    new = {name: text for name, text in images.items() if name not in kept}
    if new:
        node = add_node(scene, TEXT, _IMAGES, volume_node, "VILA-M3 images")
        node.SetAttribute(_IMAGES, ",".join(new))
        node.SetHideFromEditors(True)
        node.SetText(json.dumps(new))
        if volume_node is not None:
            file_result(scene, volume_node, node)


def _image_nodes(scene: Any, volume_node: Any) -> list[Any]:
    return [node for node in marked_nodes(scene, TEXT, _IMAGES) if scan_of(node) is volume_node]
