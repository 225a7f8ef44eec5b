"""The experts in their child process. Never import this in the service's process."""

from __future__ import annotations

import time
from typing import Any

from inference_backend.conversation.interfaces import ExpertNote, ExpertOutcome, ExpertStep
from inference_backend.experts.feedback import Feedback, feedback
from inference_backend.experts.interface import (
    Expert,
    ExpertRequest,
    Findings,
    ReportProgress,
    Segmentation,
    SequenceVolume,
)
from inference_backend.experts.registry import ExpertRegistry, installed_experts
from inference_backend.runtime.expert_process import ExpertTask, ListedExpert
from inference_backend.runtime.loaded_experts import LoadedExperts, free_device_memory
from inference_backend.runtime.worker import Emit, IsCancelled
from inference_backend.store.store import read_volume, write_labelmap
from inference_backend.weights.machine import resolve_device
from VILAM3SlicerLib.protocol.errors import Cancelled, ExpertError

PROGRESS_INTERVAL = 0.1
"""Seconds between two reports of progress at least, whatever an expert does."""


def load(device: str) -> ExpertWorker:
    """The installed experts; each gets its device when it first runs."""
    return ExpertWorker(installed_experts(), device)


class ExpertWorker:
    """Does the jobs of ``ExpertProcess``."""

    what = "The expert"

    def __init__(self, registry: ExpertRegistry, device: str, loaded: LoadedExperts | None = None) -> None:
        self._registry = registry
        self._device = device
        self._loaded = loaded

    @property
    def info(self) -> tuple[ListedExpert, ...]:
        return tuple(
            ListedExpert(expert.card, expert.version, expert.unavailable_because)
            for expert in self._registry.experts
        )

    def handle(self, request: Any, emit: Emit, is_cancelled: IsCancelled) -> None:
        """Answer an ``ExpertTask``."""
        task: ExpertTask = request
        started = time.monotonic()
        expert = self._available(task.call.expert)
        work = _request(task)
        expert.check(work)
        self._load(expert, emit)
        result = expert.run(work, _at_intervals(emit), is_cancelled)
        if is_cancelled():
            raise Cancelled("The expert was stopped.")
        told = feedback(result, task.call.views, expert.tells_sizes)
        if isinstance(result, Segmentation):
            write_labelmap(task.labelmap, result.labelmap)
            for note in result.notes:
                emit(ExpertNote(note))
        emit(_outcome(expert, result, told, time.monotonic() - started))

    def _available(self, name: str) -> Expert:
        expert = self._registry.find(name)
        if expert.unavailable_because:
            raise ExpertError(expert.unavailable_because)
        return expert

    def _load(self, expert: Expert, emit: Emit) -> None:
        if self._loaded is None:  # the device is asked when an expert needs it, not when the process starts
            device = resolve_device(self._device)
            self._loaded = LoadedExperts(device, free_device_memory(device))
        if not self._loaded.holds(expert):
            emit(ExpertStep(0.0, f"loading {expert.card.name}"))
        self._loaded.ready(expert, lambda words: emit(ExpertNote(words)))


def _request(task: ExpertTask) -> ExpertRequest:
    named = zip(task.call.sequences, task.sequences, strict=True)
    sequences = tuple(SequenceVolume(told.name, told.role, read_volume(path)) for told, path in named)
    call = task.call
    return ExpertRequest(
        arguments=call.arguments,
        volume=read_volume(task.volume),
        points=call.points,
        sequences=sequences,
        modality=call.modality,
        stored_range=call.stored_range,
        box=call.box,
    )


def _outcome(
    expert: Expert, result: Segmentation | Findings, told: Feedback, seconds: float
) -> ExpertOutcome:
    return ExpertOutcome(
        version=expert.version,
        seconds=seconds,
        feedback_text=told.text,
        feedback_image=told.image,
        result_id="labelmap" if isinstance(result, Segmentation) else None,
        segments=told.segments,
        legend=told.legend,
        findings=told.findings,
        heat_maps=told.heat_maps,
    )


def _at_intervals(emit: Emit) -> ReportProgress:
    """Pass progress on, but not more often than a person can read it."""
    last = -PROGRESS_INTERVAL

    def report(fraction: float, message: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_INTERVAL:
            last = now
            emit(ExpertStep(min(max(fraction, 0.0), 1.0), message))

    return report
