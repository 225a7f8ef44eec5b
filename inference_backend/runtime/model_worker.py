"""VILA-M3 in the model's child process. Imports torch: never import this in the service's process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from inference_backend.conversation.interfaces import PreparedPrompt, ReplyEnd, Sampling
from inference_backend.runtime.device import resolve_device
from inference_backend.runtime.model_process import Generate, Prepare
from inference_backend.runtime.worker import Emit, IsCancelled
from inference_backend.vila_m3.engine import VilaM3Engine
from inference_backend.vila_m3.sampling import GenerationSettings
from VILAM3SlicerLib.protocol.errors import Cancelled
from VILAM3SlicerLib.protocol.messages import ModelDescription


def load(checkpoint: Path, device: str) -> ModelWorker:
    """Load a checkpoint: float16 on a GPU, as the original is served, float32 on a CPU.

    Raises:
        CheckpointError: the folder is damaged or of another architecture.
    """
    place = resolve_device(device)
    return ModelWorker(VilaM3Engine(checkpoint, place, "float32" if place == "cpu" else "float16"))


class ModelWorker:
    """Does the jobs of ``ModelProcess`` with one engine."""

    what = "The model"

    def __init__(self, engine: VilaM3Engine) -> None:
        self._engine = engine

    @property
    def info(self) -> ModelDescription:
        return self._engine.description

    def handle(self, request: Any, emit: Emit, is_cancelled: IsCancelled) -> None:
        """Answer ``Prepare`` or ``Generate``."""
        if isinstance(request, Prepare):
            seen = self._engine.prepare(request.messages)
            emit(PreparedPrompt(seen.text, seen.tokens, seen.images))
        else:
            self._generate(request, emit, is_cancelled)

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
