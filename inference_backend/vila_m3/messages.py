"""Messages as the model knows them, and how they become the turns of a template."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from PIL import Image, UnidentifiedImageError

from inference_backend.vila_m3.templates import ASSISTANT, USER, Template
from VILAM3SlicerLib.protocol.errors import InvalidRequest

IMAGE_PLACEHOLDER = "<image>"
EXPERT: Final = "expert"

Role = Literal["user", "assistant", "expert"]
ImageItem = Image.Image | bytes
"""A picture, or the bytes of a PNG or JPEG file."""


class ChatMessage(Protocol):
    """A message: each ``<image>`` in ``text`` stands for one of ``images``, in order."""

    @property
    def role(self) -> Role: ...

    @property
    def text(self) -> str: ...

    @property
    def images(self) -> Sequence[ImageItem]: ...


@dataclass(frozen=True)
class Message:
    """The plain :class:`ChatMessage`."""

    role: Role
    text: str
    images: Sequence[ImageItem] = ()


def squash_expert_messages(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Merge each run of expert messages into one user message, as the original served them.

    Texts are joined with nothing between them.
    """
    squashed: list[ChatMessage] = []
    for role, run in groupby(messages, key=lambda message: message.role):
        group = list(run)
        squashed += [_merged(group)] if role == EXPERT else group
    return squashed


def _merged(group: Sequence[ChatMessage]) -> Message:
    images = tuple(image for message in group for image in message.images)
    return Message(USER, "".join(message.text for message in group), images)


def prompt_text(
    messages: Sequence[ChatMessage],
    template: Template,
    generation_header: bool = True,
    system: str | None = None,
) -> str:
    """The text that the language model is given, with ``<image>`` where an image stands.

    ``generation_header=False`` leaves out the assistant's header at the end (see
    ``Template.original_has_generation_header`` for what the published demo does). ``system`` replaces the
    template's system sentence.
    """
    turns = [
        (USER if message.role == USER else ASSISTANT, message.text)
        for message in squash_expert_messages(messages)
    ]
    return template.render(turns, generation_header, system)


def prompt_images(messages: Sequence[ChatMessage]) -> list[Image.Image]:
    """The images of all messages in order of appearance, decoded."""
    return [open_image(item) for message in messages for item in message.images]


def open_image(item: ImageItem) -> Image.Image:
    """Decode an image item.

    Raises:
        InvalidRequest: the bytes are no image.
    """
    if isinstance(item, Image.Image):
        return item
    try:
        image = Image.open(io.BytesIO(item))
        image.load()
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise InvalidRequest(
            f"An attached image cannot be read: {error}", "Send a PNG or JPEG file."
        ) from error
    return image


def messages_from_json(items: Sequence[Mapping[str, Any]], image_root: Path) -> list[Message]:
    """Read the message list of the published demo.

    Its form is ``{"role", "content": [{"type": "text", "text"} | {"type": "image_path", "image_path"}]}``; an
    image path is relative to ``image_root`` (one that leaves it is refused) and may be a list of paths.
    """
    return [_message_from_json(item, image_root) for item in items]


def _message_from_json(item: Mapping[str, Any], image_root: Path) -> Message:
    text, images = "", []
    for part in item["content"]:
        if part["type"] == "text":
            text += part["text"]
        else:
            paths = part["image_path"]
            images += [
                _read_image(path, image_root) for path in ([paths] if isinstance(paths, str) else paths)
            ]
    return Message(_role(item["role"]), text, tuple(images))


def _role(value: str) -> Role:
    roles: tuple[Role, ...] = (USER, ASSISTANT, EXPERT)
    for role in roles:
        if role == value:
            return role
    raise InvalidRequest(f"The message role {value!r} is unknown.", f"Use one of {', '.join(roles)}.")


def _read_image(path: str, image_root: Path) -> bytes:
    resolved = (image_root / path).resolve()
    if not resolved.is_relative_to(image_root.resolve()):
        raise InvalidRequest("An image path leaves its folder.", "Use paths inside the folder.")
    return resolved.read_bytes()
