"""A conversation as a JSON value that is kept with the scene and can be gone on with."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from VILAM3SlicerLib.chat.images import ImageShelf
from VILAM3SlicerLib.chat.transcript import image_names
from VILAM3SlicerLib.chat.turn import QuestionImage, Turn
from VILAM3SlicerLib.protocol.codec import from_json, to_json
from VILAM3SlicerLib.protocol.content_hash import content_hash
from VILAM3SlicerLib.protocol.errors import InvalidRequest
from VILAM3SlicerLib.protocol.messages import ViewGeometry
from VILAM3SlicerLib.protocol.phrases import phrases

_ = phrases(__name__)

FORMAT = "vilam3-conversation"
VERSION = 1


@dataclass(frozen=True)
class Archive:
    """What was kept: ended turns, each on a clock that starts at 0, and PNG bytes by their SHA-256."""

    turns: tuple[Turn, ...]
    images: Mapping[str, bytes]


class Packer:
    """Packs a conversation again and again as it grows; what was packed before is not worked on again."""

    def __init__(self) -> None:
        self._turns: dict[int, tuple[Turn, dict[str, Any]]] = {}
        self._images: dict[str, str] = {}

    def pack(self, turns: Sequence[Turn], shelf: ImageShelf) -> dict[str, Any]:
        """The ended turns with all their images; a turn that still runs is left out."""
        ended = [turn for turn in turns if not turn.is_running]
        self._turns = {id(turn): self._turns.get(id(turn)) or (turn, _packed(turn)) for turn in ended}
        images = {name: shelf.get(name) for name in image_names(ended)}
        images.update({image.sha256: image.png for turn in ended for image in turn.question.images})
        self._images = {name: self._text(name, png) for name, png in images.items() if png}
        return {
            "format": FORMAT,
            "version": VERSION,
            "turns": [packed for _, packed in self._turns.values()],
            "images": self._images,
        }

    def _text(self, name: str, png: bytes) -> str:
        return self._images.get(name) or base64.b64encode(png).decode("ascii")


def unpack(data: Mapping[str, Any]) -> Archive:
    """What ``Packer.pack`` made.

    Raises:
        InvalidRequest: it is something else, of a newer version, or was damaged.
    """
    if data.get("format") != FORMAT or data.get("version") != VERSION:
        raise InvalidRequest(
            _("The scene's conversation has a format that is not known here."),
            _("Open the scene with the version of VILAM3Slicer that saved it."),
        )
    images = _images(data.get("images"))
    turns = data.get("turns")
    if not isinstance(turns, list):
        raise _damaged(_("it has no list of turns"))
    return Archive(tuple(_unpacked(turn, images) for turn in turns), images)


def _packed(turn: Turn) -> dict[str, Any]:
    """The turn as JSON; in place of its pictures' bytes stands where they lie, times count from its start."""
    start = turn.started
    replies = [replace(reply, first_text_at=_since(start, reply.first_text_at)) for reply in turn.replies]
    experts = [replace(run, started=run.started - start) for run in turn.experts]
    bare = replace(
        turn,
        question=replace(turn.question, images=()),
        started=0.0,
        ended=_since(start, turn.ended),
        replies=tuple(replies),
        experts=tuple(experts),
    )
    pictures = [
        {"sha256": image.sha256, "geometry": to_json(image.geometry), "name": image.name}
        for image in turn.question.images
    ]
    return {"turn": to_json(bare), "question_images": pictures}


def _since(start: float, moment: float | None) -> float | None:
    return moment - start if moment is not None else None


def _unpacked(data: object, images: Mapping[str, bytes]) -> Turn:
    if not isinstance(data, Mapping) or not isinstance(data.get("question_images"), list):
        raise _damaged(_("a turn is incomplete"))
    turn = from_json(Turn, data.get("turn"))
    pictures = tuple(_picture(one, images) for one in data["question_images"])
    return replace(turn, question=replace(turn.question, images=pictures))


def _picture(data: object, images: Mapping[str, bytes]) -> QuestionImage:
    if not isinstance(data, Mapping) or data.get("sha256") not in images:
        raise _damaged(_("an image is missing"))
    geometry = from_json(ViewGeometry, data.get("geometry"))
    return QuestionImage(images[data["sha256"]], geometry, str(data.get("name", "")))


def _images(data: object) -> dict[str, bytes]:
    if not isinstance(data, Mapping):
        raise _damaged(_("it has no images"))
    try:
        images = {str(name): base64.b64decode(text, validate=True) for name, text in data.items()}
    except (binascii.Error, TypeError, ValueError) as error:
        raise _damaged(_("an image cannot be read")) from error
    if any(content_hash(png) != name for name, png in images.items()):
        raise _damaged(_("an image was changed"))
    return images


def _damaged(why: str) -> InvalidRequest:
    return InvalidRequest(
        _("The scene's conversation was damaged: {why}.").format(why=why),
        _("The scan and the segments are shown all the same."),
    )
