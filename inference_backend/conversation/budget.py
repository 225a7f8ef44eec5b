"""Fitting a conversation into the model's context.

The cards and the newest question with its images and experts' results always stay. Of older turns first the
images and long texts give way, then the turns themselves, each time the oldest first. Nothing is cut off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inference_backend.conversation.interfaces import LanguageModel, Message, PreparedPrompt
from inference_backend.conversation.prompting import Wording, compose, shortened, turns
from VILAM3SlicerLib.protocol.errors import TooLarge

SHORT_TEXT = 300
"""Characters that a message of a shortened turn keeps."""


@dataclass(frozen=True)
class FittedPrompt:
    """Messages that fit, their prompt, the room left for the reply, and what became of how many old turns."""

    messages: list[Message]
    prompt: PreparedPrompt
    reply_tokens: int
    shortened_turns: int
    dropped_turns: int


async def fit(
    model: LanguageModel, conversation: Sequence[Message], wording: Wording, reply_tokens: int
) -> FittedPrompt:
    """Take away as little as possible so that the prompt and a reply fit the model's context.

    ``reply_tokens`` is what the reply may take; it is cut to a quarter of the context at most.

    Raises:
        TooLarge: the newest turn alone is too long.
    """
    window = model.description.context_length
    reserved = min(reply_tokens, window // 4)
    *older, newest = turns(conversation)
    tried = _Tries(model, older, newest, wording)
    least, most = 0, 2 * len(older)
    while least < most:  # the fewest steps that make it fit; each makes the prompt shorter or leaves it
        middle = 0 if least == 0 and 0 not in tried.prompts else (least + most) // 2
        if (await tried.prompt(middle)).tokens + reserved <= window:
            most = middle
        else:
            least = middle + 1
    prompt = await tried.prompt(least)
    if prompt.tokens + reserved > window:
        raise TooLarge(
            f"The question with its images and experts' results takes {prompt.tokens} "
            f"of the model's {window} tokens.",
            "Ask a shorter question, or send fewer images.",
        )
    dropped = max(least - len(older), 0)
    changed = sum(_shortened_turn(turn) != turn for turn in older[dropped:least])
    return FittedPrompt(tried.messages[least], prompt, reserved, changed, dropped)


class _Tries:
    """The prompts after so many steps: the first steps shorten a turn each, the others drop one each."""

    def __init__(
        self,
        model: LanguageModel,
        older: Sequence[list[Message]],
        newest: list[Message],
        wording: Wording,
    ) -> None:
        self._model = model
        self._older = older
        self._newest = newest
        self._wording = wording
        self.messages: dict[int, list[Message]] = {}
        self.prompts: dict[int, PreparedPrompt] = {}

    async def prompt(self, steps: int) -> PreparedPrompt:
        if steps not in self.prompts:
            self.messages[steps] = compose(self._after(steps), self._wording)
            self.prompts[steps] = await self._model.prepare(self.messages[steps])
        return self.prompts[steps]

    def _after(self, steps: int) -> list[Message]:
        dropped = max(steps - len(self._older), 0)
        kept = [
            _shortened_turn(turn) if place < steps else turn
            for place, turn in enumerate(self._older)
            if place >= dropped
        ]
        return [message for turn in [*kept, self._newest] for message in turn]


def _shortened_turn(turn: Sequence[Message]) -> list[Message]:
    return [shortened(message, SHORT_TEXT) for message in turn]
