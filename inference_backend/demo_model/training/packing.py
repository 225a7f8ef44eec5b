"""Many conversations that begin alike as one sequence.

The model cards are most of a prompt. Conversations about one scene share them, so they are read once: the
sequence is the common prefix, then what follows it in each conversation. A branch sees the prefix and
itself, and its positions go on from the prefix, so it is computed exactly as if it stood alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from inference_backend.conversation.interfaces import Message
from inference_backend.conversation.model_cards import compose_cards
from inference_backend.conversation.prompting import Wording, compose
from inference_backend.demo_model.layout import PROMPT_LAYOUT
from inference_backend.demo_model.training.dialogues import Dialogue
from inference_backend.demo_model.training.scenes import Scene
from inference_backend.vila_m3.messages import prompt_text
from inference_backend.vila_m3.templates import VicunaTemplate
from inference_backend.vila_m3.tokenizer import IMAGE_TOKEN_ID, Tokenizer, prompt_ids

TOKENS_PER_IMAGE = 16
_TEMPLATE = VicunaTemplate()


@dataclass(frozen=True)
class Sequence1D:
    """A tokenised conversation.

    Attributes:
        slots: a token id, or an image's key with the number of the feature vector that stands there.
        learned: whether the model is trained to predict the slot.
    """

    slots: tuple[int | tuple[bytes, int], ...]
    learned: tuple[bool, ...]


@dataclass(frozen=True)
class Pack:
    """Conversations in one sequence of ``length`` slots.

    Attributes:
        slots: as in Sequence1D.
        positions: (length,) position of each slot in its own conversation.
        segments: length of the prefix, then of each branch.
        predicted_from, targets: slots whose next token is learned, and these tokens.
    """

    slots: tuple[int | tuple[bytes, int], ...]
    positions: torch.Tensor
    segments: tuple[int, ...]
    predicted_from: torch.Tensor
    targets: torch.Tensor

    @property
    def length(self) -> int:
        return len(self.slots)


def model_messages(scene: Scene, messages: Sequence[Message]) -> list[Message]:
    """Messages as the product words them for the model."""
    return compose(messages, Wording(compose_cards(scene.cards), scene.named_modality, layout=PROMPT_LAYOUT))


def tokenise(dialogue: Dialogue, tokenizer: Tokenizer) -> Sequence1D:
    """The conversation as the model reads it; replies marked as learned where they are."""
    messages = model_messages(dialogue.scene, [turn.message for turn in dialogue.turns])
    ids = prompt_ids(prompt_text(messages, _TEMPLATE, generation_header=False), tokenizer)
    learned = [False] * len(ids)
    for index, turn in enumerate(dialogue.turns):
        if turn.learned:
            start = len(prompt_ids(prompt_text(messages[:index], _TEMPLATE), tokenizer))
            reply = prompt_text(messages[: index + 1], _TEMPLATE, generation_header=False)
            end = len(prompt_ids(reply, tokenizer))
            learned[start:end] = [True] * (end - start)
    return _expanded(ids, learned, [key for turn in dialogue.turns for key in turn.message.images])


def _expanded(ids: Sequence[int], learned: Sequence[bool], keys: Sequence[bytes]) -> Sequence1D:
    slots: list[int | tuple[bytes, int]] = []
    flags: list[bool] = []
    remaining = iter(keys)
    for token, flag in zip(ids, learned, strict=True):
        if token == IMAGE_TOKEN_ID:
            key = next(remaining)
            slots += [(key, number) for number in range(TOKENS_PER_IMAGE)]
            flags += [False] * TOKENS_PER_IMAGE
        else:
            slots.append(token)
            flags.append(flag)
    return Sequence1D(tuple(slots), tuple(flags))


def pack(sequences: Sequence[Sequence1D]) -> Pack:
    """Lay conversations into one sequence, their common beginning once."""
    shared = common_prefix(sequences)
    slots = list(sequences[0].slots[:shared])
    positions = list(range(shared))
    predicted_from: list[int] = []
    targets: list[int] = []
    for sequence in sequences:
        start = len(slots)
        slots += sequence.slots[shared:]
        positions += range(shared, len(sequence.slots))
        for index in range(shared, len(sequence.slots)):
            if sequence.learned[index]:
                predicted_from.append(start + index - shared - 1 if index > shared else shared - 1)
                target = sequence.slots[index]
                assert isinstance(target, int)
                targets.append(target)
    return Pack(
        slots=tuple(slots),
        positions=torch.tensor(positions),
        segments=(shared, *(len(sequence.slots) - shared for sequence in sequences)),
        predicted_from=torch.tensor(predicted_from, dtype=torch.long),
        targets=torch.tensor(targets, dtype=torch.long),
    )


def common_prefix(sequences: Sequence[Sequence1D]) -> int:
    """Number of slots that all begin with; none of them is learned and one slot is left to each."""
    first = sequences[0]
    longest = min(len(sequence.slots) for sequence in sequences) - 1
    for index in range(longest):
        if any(
            sequence.slots[index] != first.slots[index] or sequence.learned[index] for sequence in sequences
        ):
            return index
    return longest
