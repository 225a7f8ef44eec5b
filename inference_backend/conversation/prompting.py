"""From the conversation as a person had it to the messages that the model reads.

Layout of the product: the cards stand once, in front of the first question that is kept, so that what
comes before the newest question never changes; an image is followed by a newline, as in training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from inference_backend.conversation.interfaces import Message
from inference_backend.conversation.wording import IMAGE, modality_sentence


def compose(messages: Sequence[Message], cards: str, modality: str) -> list[Message]:
    """Word the questions of a conversation for the model; replies and expert results stay as they are.

    Args:
        messages: the conversation, user messages with the person's own words.
        cards: the composed model cards, empty where no expert can run.
        modality: named to the model in front of each question that brings images.
    """
    composed = []
    for message in messages:
        if message.role == "user":
            composed.append(_question(message, cards, modality))
            cards = ""
        else:
            composed.append(replace(message, text=_balanced(message.text, len(message.images))))
    return composed


def turns(messages: Sequence[Message]) -> list[list[Message]]:
    """Cut a conversation into turns: a question and all that followed it."""
    cut: list[list[Message]] = []
    for message in messages:
        if message.role == "user" or not cut:
            cut.append([])
        cut[-1].append(message)
    return cut


def _question(message: Message, cards: str, modality: str) -> Message:
    count = len(message.images)
    if count and message.text.count(IMAGE) == count:
        text = modality_sentence(modality) + message.text  # the person placed the images
    elif count:
        images = f"{IMAGE}\n" * count
        text = images + modality_sentence(modality) + _without_placeholders(message.text)
    else:
        text = _without_placeholders(message.text)
    return replace(message, text=cards + text)


def _balanced(text: str, images: int) -> str:
    """Make a text have one placeholder an image, whatever a client sent."""
    if text.count(IMAGE) == images:
        return text
    return f"{IMAGE}\n" * images + _without_placeholders(text)


def _without_placeholders(text: str) -> str:
    return text.replace(IMAGE, "").strip()
