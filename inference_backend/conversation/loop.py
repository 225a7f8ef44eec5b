"""One question, all the way through: prompt, reply, expert, feedback, answer.

Published flow (Project-MONAI/VLM-Radiology-Agent-Framework @ fc8c5a7): a reply that names an expert is
followed by the expert's result and an instruction to use it, and the model replies again; a triggering
reply that says "segmented" already is the answer. Ours: several calls a turn, within a bound.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from inference_backend.conversation import wording
from inference_backend.conversation.budget import FittedPrompt, fit
from inference_backend.conversation.interfaces import (
    ExpertCall,
    ExpertNote,
    ExpertOutcome,
    ExpertPool,
    ExpertStep,
    HeatPicture,
    LanguageModel,
    Message,
    ReplyEnd,
    Sampling,
    View,
)
from inference_backend.conversation.model_cards import compose_cards
from inference_backend.conversation.prompting import Wording
from inference_backend.conversation.trigger import Trigger, find_trigger
from VILAM3SlicerLib.protocol.errors import Cancelled, ErrorBody, VilaM3Error
from VILAM3SlicerLib.protocol.events import (
    Answer,
    ExpertCalled,
    ExpertFailed,
    ExpertProgress,
    ExpertResult,
    HeatMap,
    Notice,
    Payload,
    Prompt,
    SeenImage,
    Text,
)
from VILAM3SlicerLib.protocol.messages import PromptLayout, TurnContext
from VILAM3SlicerLib.protocol.mri_sequences import guess_role

MAX_EXPERT_CALLS = 3
"""Calls of experts in one turn; what the model says after the last one is the answer."""


_NOT_OFFERED = ("", "")
"""Stands for every call of an expert that is not offered: the model is told once a turn."""


class ImageSink(Protocol):
    """Where images go that the person may look at later."""

    def keep(self, png: bytes) -> str:
        """Store a PNG and return its SHA-256."""


@dataclass(frozen=True)
class Turn:
    """A question with the conversation before it.

    ``messages`` is the whole conversation, the question last, user messages in the person's own words;
    ``views`` are the question's images with their geometry.
    """

    messages: tuple[Message, ...]
    context: TurnContext
    views: tuple[View, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)


class Conversation:
    """Runs turns; holds no history of its own."""

    def __init__(self, model: LanguageModel, experts: ExpertPool, images: ImageSink) -> None:
        self._model = model
        self._experts = experts
        self._images = images

    def run(self, turn: Turn) -> AsyncIterator[Payload]:
        """The turn's events up to its answer.

        Raises:
            VilaM3Error: the turn cannot go on; an expert's failure is no such error, the model is told of it.
        """
        return _TurnRun(self._model, self._experts, self._images, turn).events()


class _TurnRun:
    """The state of one turn while it runs."""

    def __init__(self, model: LanguageModel, experts: ExpertPool, images: ImageSink, turn: Turn) -> None:
        self._model = model
        self._experts = experts
        self._images = images
        self._turn = turn
        self._messages = list(turn.messages)
        self._question = turn.messages[-1].text
        self._started = time.monotonic()
        self._calls: set[tuple[str, str]] = set()
        self._reply = ""
        self._end = ReplyEnd("stop", 0, 0)
        self._prompt_tokens = 0
        self._completion_tokens = 0
        self._told_of_shortening = False
        self._is_answered = False

    async def events(self) -> AsyncIterator[Payload]:
        step = 0
        while True:
            async for payload in self._one_reply(step):
                yield payload
            trigger = self._next_trigger()
            if trigger is None:
                break
            async for payload in self._expert(trigger, step):
                yield payload
            if self._is_answered:
                break
            step += 1
        yield self._answer(step)

    async def _one_reply(self, step: int) -> AsyncIterator[Payload]:
        fitted = await self._fit()
        if (fitted.shortened_turns or fitted.dropped_turns) and not self._told_of_shortening:
            self._told_of_shortening = True
            yield _shortened(fitted)
        yield self._prompt_event(step, fitted)
        pieces = []
        sampling = replace(self._turn.sampling, max_tokens=fitted.reply_tokens)
        async for piece in self._model.reply(fitted.messages, sampling):
            if isinstance(piece, ReplyEnd):
                self._count(piece)
            else:
                pieces.append(piece)
                yield Text(step, piece)
        self._reply = "".join(pieces).strip()
        self._messages.append(Message("assistant", self._reply))
        if self._end.finish_reason != "stop":
            yield _ended_early(self._end)

    def _count(self, end: ReplyEnd) -> None:
        """The turn's usage is that of all its replies."""
        self._end = end
        self._prompt_tokens += end.prompt_tokens
        self._completion_tokens += end.completion_tokens

    async def _fit(self) -> FittedPrompt:
        context = self._turn.context
        cards = compose_cards(self._experts.offered()) if context.volume else ""
        worded = Wording(cards, context.modality, _sequences(context), self._layout)
        return await fit(self._model, self._messages, worded, self._turn.sampling.max_tokens)

    @property
    def _layout(self) -> PromptLayout:
        return self._model.description.prompt_layout

    def _use_result(self, is_classification: bool = False) -> str:
        return wording.use_result(self._question, self._layout, is_classification)

    def _prompt_event(self, step: int, fitted: FittedPrompt) -> Prompt:
        sent = [image for message in fitted.messages for image in message.images]
        pairs = zip(sent, fitted.prompt.seen_images, strict=True)
        images = tuple(SeenImage(self._images.keep(image), self._images.keep(seen)) for image, seen in pairs)
        return Prompt(step, fitted.prompt.text, fitted.prompt.tokens, images)

    def _next_trigger(self) -> Trigger | None:
        """The call in the newest reply, unless it repeats one of this turn or the bound is reached."""
        offered = [card.name for card in self._experts.offered()]
        trigger = find_trigger(self._reply, offered)
        if trigger is None or len(self._calls) >= MAX_EXPERT_CALLS:
            return None
        call = (trigger.expert.lower(), trigger.arguments.lower()) if trigger.is_offered else _NOT_OFFERED
        if call in self._calls:
            return None
        self._calls.add(call)
        return trigger

    async def _expert(self, trigger: Trigger, step: int) -> AsyncIterator[Payload]:
        call_id = f"{self._turn.context.turn_id}-{step}"
        version = self._experts.version(trigger.expert) if trigger.is_offered else ""
        yield ExpertCalled(
            call_id, step, trigger.expert, trigger.arguments, version, trigger.text, self._reply
        )
        if not trigger.is_offered:
            yield self._not_offered(trigger, call_id)
            return
        try:
            async for payload in self._run_expert(trigger, call_id):
                yield payload
        except Cancelled:
            raise
        except VilaM3Error as error:
            yield self._failed(trigger, call_id, error)

    async def _run_expert(self, trigger: Trigger, call_id: str) -> AsyncIterator[Payload]:
        context = self._turn.context
        call = ExpertCall(
            call_id,
            trigger.expert,
            trigger.arguments,
            context.volume,
            self._turn.views,
            context.points,
            context.sequences,
            context.modality,
            context.stored_range,
            context.box,
        )
        async for item in self._experts.run(call):
            if isinstance(item, ExpertStep):
                yield ExpertProgress(call_id, item.fraction, item.message)
            elif isinstance(item, ExpertNote):
                yield Notice("expert_note", item.message)
            else:
                yield self._result(trigger, call_id, item)

    def _result(self, trigger: Trigger, call_id: str, outcome: ExpertOutcome) -> ExpertResult:
        image = outcome.feedback_image
        self._is_answered = "segmented" in self._reply and not outcome.findings
        instruction = "" if self._is_answered else self._use_result(bool(outcome.findings))
        text = outcome.feedback_text + instruction
        self._tell(text, () if image is None else (image,))
        return ExpertResult(
            call_id=call_id,
            expert=trigger.expert,
            version=outcome.version,
            arguments=trigger.arguments,
            seconds=outcome.seconds,
            feedback_text=text,
            feedback_image=None if image is None else self._images.keep(image),
            result_id=outcome.result_id,
            segments=outcome.segments,
            legend=outcome.legend,
            findings=outcome.findings,
            heat_maps=tuple(self._heat_map(picture) for picture in outcome.heat_maps),
        )

    def _heat_map(self, picture: HeatPicture) -> HeatMap:
        return HeatMap(
            picture.finding,
            self._images.keep(picture.image),
            picture.columns,
            picture.rows,
            picture.pixel_to_ras,
            picture.source,
        )

    def _failed(self, trigger: Trigger, call_id: str, error: VilaM3Error) -> ExpertFailed:
        text = wording.expert_failed(error.message) + self._use_result()
        self._tell(text)
        return ExpertFailed(call_id, trigger.expert, error.body, text)

    def _not_offered(self, trigger: Trigger, call_id: str) -> ExpertFailed:
        offered = [card.name for card in self._experts.offered()]
        text = wording.expert_not_offered(trigger.expert, offered) + self._use_result()
        self._tell(text)
        error = ErrorBody(
            "expert_not_offered",
            f"The model asked for the expert {trigger.expert}, which is not available.",
            f"Available experts: {', '.join(offered) or 'none'}.",
        )
        return ExpertFailed(call_id, trigger.expert, error, text)

    def _tell(self, text: str, images: tuple[bytes, ...] = ()) -> None:
        self._messages.append(Message("expert", text, images))

    def _answer(self, step: int) -> Answer:
        return Answer(
            step=step,
            text=self._reply,
            finish_reason="stop" if self._end.finish_reason == "stop" else "length",
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._completion_tokens,
            model=self._model.description.name,
            seconds=time.monotonic() - self._started,
        )


def _sequences(context: TurnContext) -> tuple[str, ...]:
    """The names of the question's images where each is another sequence of one MRI study."""
    roles = {sequence.volume: sequence.role or guess_role(sequence.name) for sequence in context.sequences}
    names = tuple(roles.get(view.volume or "", "") for view in context.views)
    return names if len(names) > 1 and all(names) and len(set(names)) == len(names) else ()


def _shortened(fitted: FittedPrompt) -> Notice:
    done = []
    if fitted.dropped_turns:
        done.append(f"the oldest {_turns(fitted.dropped_turns)} left out")
    if fitted.shortened_turns:
        done.append(f"{_turns(fitted.shortened_turns)} shortened, without images")
    return Notice(
        "history_shortened",
        f"The conversation is longer than the model can read: {' and '.join(done)}.",
    )


def _turns(count: int) -> str:
    return "turn was" if count == 1 else f"{count} turns were"


def _ended_early(end: ReplyEnd) -> Notice:
    if end.finish_reason == "repetition":
        return Notice("reply_repeats", "The model began to repeat itself, so its answer was ended.")
    return Notice(
        "reply_cut",
        f"The answer was ended after {end.completion_tokens} tokens, the longest that is allowed here.",
    )
