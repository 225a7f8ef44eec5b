"""VILA-M3 in the model's child process. Imports torch: never import this in the service's process."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from inference_backend.conversation.interfaces import PreparedPrompt, ReplyEnd, Sampling
from inference_backend.runtime.memory_ledger import Account, MemoryLedger
from inference_backend.runtime.model_process import Generate, LoadVilaM3, MakeRoom, Prepare, ReadAhead
from inference_backend.runtime.worker import Emit, IsCancelled
from inference_backend.vila_m3.engine import VilaM3Engine
from inference_backend.vila_m3.sampling import GenerationSettings
from inference_backend.weights.candidates import choose
from inference_backend.weights.machine import measure, resolve_device
from VILAM3SlicerLib.protocol.errors import Cancelled, ModelError
from VILAM3SlicerLib.protocol.messages import ModelDescription

log = logging.getLogger(__name__)

KEPT_SHARE = 0.25
MOST_KEPT_BYTES = 8 * 1024**3
"""A conversation that fills the context of the 8B model takes half a GiB."""


def load(wanted: LoadVilaM3) -> ModelWorker:
    """Load the best candidate that fits, in the best precision that does.

    Raises:
        CheckpointError: its folder is damaged or of another architecture.
        ModelError: nothing fits.
        InvalidRequest: the device cannot compute in the precision that is wanted.
    """
    device = resolve_device(wanted.device)
    machine = measure(device)
    folder, choice = choose(wanted.candidates, machine, wanted.precision, wanted.reserved_bytes)
    log.info("%s", choice.reason)

    def account(_place: Any) -> Account:
        return _account_for_conversations(device, wanted.reserved_bytes)

    engine = VilaM3Engine(folder, device, choice.precision, account, wanted.prompt_layout)
    return ModelWorker(engine, choice.reason)


def _account_for_conversations(device: str, reserved_bytes: int) -> Account:
    """What of the memory that is left once the model is loaded may hold conversations that were read."""
    free = measure(device).free_bytes - reserved_bytes
    ledger = MemoryLedger(min(int(max(free, 0) * KEPT_SHARE), MOST_KEPT_BYTES))
    return ledger.account("conversations")


class ModelWorker:
    """Does the jobs of ``ModelProcess`` with one engine."""

    what = "The model"

    def __init__(self, engine: VilaM3Engine, chosen_because: str = "") -> None:
        self._engine = engine
        self._chosen_because = chosen_because

    @property
    def info(self) -> ModelDescription:
        return replace(self._engine.description, chosen_because=self._chosen_because)

    def handle(self, request: Any, emit: Emit, is_cancelled: IsCancelled) -> None:
        """Answer a request; where the device has too little memory, none stays taken."""
        try:
            if isinstance(request, Prepare):
                seen = self._engine.prepare(request.messages)
                emit(PreparedPrompt(seen.text, seen.tokens, seen.images))
            elif isinstance(request, ReadAhead):
                self._engine.read_ahead(request.messages, is_cancelled)
            elif isinstance(request, MakeRoom):
                self._engine.forget()
            else:
                self._generate(request, emit, is_cancelled)
        except ModelError as error:
            if error.code == "out_of_memory":
                self._engine.forget()
            raise

    def _generate(self, request: Generate, emit: Emit, is_cancelled: Callable[[], bool]) -> None:
        reply = self._engine.reply(request.messages, _settings(request.sampling), is_cancelled)
        for piece in reply:
            emit(piece)
        if reply.finish_reason is None or reply.finish_reason == "cancelled":
            raise Cancelled("The reply was stopped.")
        usage = reply.usage
        emit(ReplyEnd(reply.finish_reason, usage.prompt_tokens, usage.completion_tokens))


def _settings(sampling: Sampling) -> GenerationSettings:
    return GenerationSettings(
        max_new_tokens=sampling.max_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        seed=sampling.seed,
    )
