"""From a chat-completions request to the turn that the conversation runs."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Sequence

from inference_backend.conversation.interfaces import Message, Role, Sampling, View
from inference_backend.conversation.loop import Turn
from inference_backend.service.images import ImageReader
from inference_backend.service.schemas import ChatMessage, ChatRequest, ImagePart
from inference_backend.service.settings import Limits
from VILAM3SlicerLib.protocol.errors import InvalidRequest, TooLarge
from VILAM3SlicerLib.protocol.messages import TurnContext

_TURN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
MAX_POINTS = 100
MAX_SEQUENCES = 32

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "tool": "expert"}


def read_turn(request: ChatRequest, images: ImageReader, limits: Limits) -> Turn:
    """Check a request and read its images.

    Raises:
        InvalidRequest: no question, a malformed id, or views that do not fit the images.
        TooLarge: beyond a limit that the message names.
        NotFound: an image named by its hash is not here.
    """
    _check_sizes(request.messages, limits)
    messages = tuple(_message(message, images) for message in request.messages)
    _check_question(messages[-1])
    context = request.vilam3 or _context_of_plain_client()
    _check_context(context, len(messages[-1].images))
    views = tuple(View(*pair) for pair in zip(messages[-1].images, context.views, strict=False))
    return Turn(messages, context, views, _sampling(request, limits))


def _message(message: ChatMessage, images: ImageReader) -> Message:
    pictures = tuple(images.read(url) for url in _image_urls(message))
    return Message(_ROLES[message.role], _text(message), pictures)


def _text(message: ChatMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    return "".join(part.text for part in message.content if not isinstance(part, ImagePart))


def _image_urls(message: ChatMessage) -> list[str]:
    if isinstance(message.content, str):
        return []
    return [part.image_url.url for part in message.content if isinstance(part, ImagePart)]


def _check_sizes(messages: Sequence[ChatMessage], limits: Limits) -> None:
    question = len(_text(messages[-1]))
    found = {
        "The question has {:,} characters; {:,} are allowed.": (question, limits.prompt_characters),
        "The conversation has {:,} messages; {:,} are allowed.": (len(messages), limits.messages),
        "The conversation has {:,} characters; {:,} are allowed.": (
            sum(len(_text(message)) for message in messages),
            limits.conversation_characters,
        ),
        "The conversation has {:,} images; {:,} are allowed.": (
            sum(len(_image_urls(message)) for message in messages),
            limits.images,
        ),
    }
    for text, (count, limit) in found.items():
        if count > limit:
            raise TooLarge(text.format(count, limit), "Shorten the question or start a new conversation.")


def _check_question(message: Message) -> None:
    if message.role != "user" or not message.text.strip():
        raise InvalidRequest("There is no question.", "Write a question and send it.", "no_question")


def _check_context(context: TurnContext, images: int) -> None:
    if not _TURN_ID.fullmatch(context.turn_id):
        raise InvalidRequest("The turn id is not well formed.", "Use a UUID.")
    if not 1 <= len(context.session) <= 200 or len(context.modality) > 50:
        raise InvalidRequest("The session or the modality is not well formed.", "Use a short name.")
    if len(context.points) > MAX_POINTS or len(context.sequences) > MAX_SEQUENCES:
        raise InvalidRequest(
            f"At most {MAX_POINTS} points and {MAX_SEQUENCES} sequences can come with a question.",
            "Remove some of them.",
        )
    if not _are_finite(context):
        raise InvalidRequest(
            "A point, the box or a view has values that are not numbers.",
            "Place the points and the box again.",
        )
    if context.stored_range is not None and not _is_range(*context.stored_range):
        raise InvalidRequest("The stored range is not well formed.", "Send two numbers, the lower one first.")
    if len(context.views) not in (0, images):
        raise InvalidRequest(
            f"There are {len(context.views)} views for {images} images.", "Send one view for each image."
        )


def _are_finite(context: TurnContext) -> bool:
    places = [point.ras for point in context.points] + [view.pixel_to_ras for view in context.views]
    boxes = [context.box.box_to_ras] if context.box is not None else []
    return all(math.isfinite(number) for numbers in (*places, *boxes) for number in numbers)


def _is_range(low: float, high: float) -> bool:
    return math.isfinite(low) and math.isfinite(high) and low < high


def _context_of_plain_client() -> TurnContext:
    """A client that does not know our field: no volume, and no other turn to wait for."""
    turn_id = str(uuid.uuid4())
    return TurnContext(turn_id=turn_id, session=turn_id)


def _sampling(request: ChatRequest, limits: Limits) -> Sampling:
    wanted = request.max_completion_tokens or request.max_tokens or Sampling().max_tokens
    return Sampling(min(wanted, limits.reply_tokens), request.temperature, request.top_p, request.seed)
