"""The language model in a process of its own, as the conversation knows it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import cast

from inference_backend.conversation.interfaces import Message, PreparedPrompt, ReplyEnd, Sampling
from inference_backend.runtime.process_backed import ProcessBacked
from inference_backend.runtime.supervisor import RestartPolicy, SupervisedProcess
from inference_backend.runtime.worker import MakeWorker, Worker
from inference_backend.vila_m3.precision import Precision
from inference_backend.weights.candidates import Candidate
from VILAM3SlicerLib.protocol.errors import ModelError, VilaM3Error
from VILAM3SlicerLib.protocol.messages import ModelDescription, PromptLayout

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds that a cancelled reply may go on before the process is killed; loading it again takes longer."""


@dataclass(frozen=True)
class Prepare:
    """Asks for the prompt; answered by one PreparedPrompt."""

    messages: tuple[Message, ...]


@dataclass(frozen=True)
class Generate:
    """Asks for a reply; answered by pieces of text and a ReplyEnd."""

    messages: tuple[Message, ...]
    sampling: Sampling


@dataclass(frozen=True)
class ReadAhead:
    """Asks to read what conversations will begin with; answered by nothing."""

    messages: tuple[Message, ...]


@dataclass(frozen=True)
class MakeRoom:
    """Asks to free the device's memory of all that can be computed again; answered by nothing."""


@dataclass(frozen=True)
class LoadVilaM3:
    """Makes the worker, in the child, with the best candidate that fits the memory that is free then.

    Attributes:
        candidates: the checkpoints that may be loaded.
        device: as torch names it, or ``auto``.
        precision: what a person wants; None for the best that fits.
        reserved_bytes: device memory that the experts want.
        prompt_layout: what a person wants; None for the one that the checkpoint was trained with.
    """

    candidates: tuple[Candidate, ...]
    device: str
    precision: Precision | None = None
    reserved_bytes: int = 0
    prompt_layout: PromptLayout | None = None

    def __call__(self) -> Worker:
        from inference_backend.runtime.model_worker import load  # imports torch

        return load(self)


Beginning = Callable[[], Awaitable[Sequence[Message]]]
"""Tells what conversations will begin with; may wait until that is known."""


class ModelProcess(ProcessBacked):
    """Implements ``LanguageModel`` with a supervised process."""

    def __init__(
        self, make_worker: MakeWorker, patience: float = PATIENCE, policy: RestartPolicy | None = None
    ) -> None:
        super().__init__(SupervisedProcess("The model", make_worker, ModelError, patience, policy))
        self._reading_ahead: asyncio.Task[None] | None = None

    def reads_ahead(self, beginning: Beginning) -> None:
        """Have each process that is loaded read what conversations begin with, until the first one comes."""

        async def read_ahead() -> None:
            self._reading_ahead = asyncio.current_task()
            try:
                request = ReadAhead(tuple(await beginning()))
                async for _ in self._process.run(request):
                    pass
            except VilaM3Error as error:  # nobody asked; who asks next is told by their own question
                log.warning("nothing was read ahead: %s", error.code)

        self._process.when_loaded = read_ahead

    @property
    def description(self) -> ModelDescription:
        """Known once the model has been loaded, also while its process is being restarted."""
        if self._process.info is None:
            raise ModelError(self.detail or "The model is still being loaded.", "Ask again in a moment.")
        return cast(ModelDescription, self._process.info)

    async def prepare(self, messages: Sequence[Message]) -> PreparedPrompt:
        """The prompt that ``reply`` would use, without generating."""
        self._give_way()
        prepared = [item async for item in self._process.run(Prepare(tuple(messages)))]
        return cast(PreparedPrompt, prepared[0])

    def reply(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str | ReplyEnd]:
        """The reply, piece by piece, then a ReplyEnd. Raises ModelError where the process died."""
        self._give_way()
        return self._process.run(Generate(tuple(messages), sampling))

    async def make_room(self) -> None:
        """Free the device's memory of all that can be computed again; does nothing unless it is ready."""
        if self.readiness == "ready":
            async for _ in self._process.run(MakeRoom()):
                pass

    def _give_way(self) -> None:
        """Somebody asks: no more is read ahead; what was read serves this question."""
        if self._reading_ahead is not None:
            self._reading_ahead.cancel()
