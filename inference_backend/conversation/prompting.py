"""From the conversation as a person had it to the messages that the model reads.

What a checkpoint was trained with differs a little in where cards, images and line breaks stand; see
``PromptLayout`` for the layouts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from inference_backend.conversation.interfaces import Message
from inference_backend.conversation.wording import IMAGE, modality_sentence, sequences_sentence
from VILAM3SlicerLib.protocol.messages import PromptLayout


@dataclass(frozen=True)
class Wording:
    """How a conversation's questions are put to the model.

    Attributes:
        cards: the composed model cards, empty where no expert can run.
        modality: named to the model in front of each question that brings images.
        sequences: the names of a question's images where these are the sequences of one MRI study.
        layout: what the checkpoint was trained with.
    """

    cards: str = ""
    modality: str = "Unknown"
    sequences: tuple[str, ...] = ()
    layout: PromptLayout = "training"


def compose(messages: Sequence[Message], wording: Wording) -> list[Message]:
    """Word the questions of a conversation for the model.

    The cards stand in front of the first question, so that what comes before the newest one never changes;
    the published demo repeats them with each question that brings images.
    """
    composed: list[Message] = []
    for message in messages:
        is_first = not any(each.role == "user" for each in composed)
        if message.role != "user":
            text = _balanced(message.text, len(message.images), wording.layout)
        else:
            has_cards = bool(message.images) if wording.layout == "published" else is_first
            text = (wording.cards if has_cards else "") + _question(message, wording)
        composed.append(
            replace(message, text=_as_in_training(text) if wording.layout == "training" else text)
        )
    return composed


def beginning(cards: str) -> list[Message]:
    """What every conversation about a scan begins with, whatever the layout: the cards."""
    return [Message("user", cards)]


def turns(messages: Sequence[Message]) -> list[list[Message]]:
    """Cut a conversation into turns: a question and all that followed it."""
    cut: list[list[Message]] = []
    for message in messages:
        if message.role == "user" or not cut:
            cut.append([])
        cut[-1].append(message)
    return cut


def shortened(message: Message, longest: int) -> Message:
    """A message without its images and with at most ``longest`` characters of its text."""
    stand_in = "" if message.role == "user" else "an image"
    text = message.text.replace(IMAGE, stand_in).strip()
    return replace(message, text=text if len(text) <= longest else f"{text[:longest].rstrip()}…", images=())


def _question(message: Message, wording: Wording) -> str:
    count = len(message.images)
    said = _without_placeholders(message.text)
    if not count:
        return said
    if count == len(wording.sequences):
        return sequences_sentence(wording.sequences) + said
    modality = modality_sentence(wording.modality)
    if message.text.count(IMAGE) == count:
        return modality + message.text  # the person placed the images
    return _images(count, wording.layout) + modality + said


def _balanced(text: str, images: int, layout: PromptLayout) -> str:
    """Make a text have one placeholder an image, whatever a client sent."""
    if text.count(IMAGE) == images:
        return text
    return _images(images, layout) + _without_placeholders(text)


def _images(count: int, layout: PromptLayout) -> str:
    return (f"{IMAGE}\n" if layout == "lines" else IMAGE) * count


def _as_in_training(text: str) -> str:
    """Strip what stands between images; a space goes before each image and a newline behind it.

    So did the loader of the released checkpoints' training data (NVlabs/VILA @ 355fda9). With the 8B
    checkpoint's tokenizer the newline is also what gets lost behind an image, instead of a word.
    """
    if IMAGE not in text:
        return text
    *before, last = (stretch.strip() for stretch in text.split(IMAGE))
    return ("".join(f"{stretch} {IMAGE}\n" for stretch in before) + last).strip()


def _without_placeholders(text: str) -> str:
    return text.replace(IMAGE, "").strip()
