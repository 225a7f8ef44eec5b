"""The experts in a process of their own, as the conversation knows them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inference_backend.conversation.interfaces import ExpertCall, ExpertNote, ExpertOutcome, ExpertStep
from inference_backend.conversation.model_cards import ModelCard
from inference_backend.runtime.process_backed import ProcessBacked
from inference_backend.runtime.supervisor import RestartPolicy, SupervisedProcess
from inference_backend.runtime.worker import MakeWorker, Worker
from inference_backend.store.store import Store
from VILAM3SlicerLib.protocol.errors import ExpertError, InvalidRequest, VilaM3Error
from VILAM3SlicerLib.protocol.messages import ExpertDescription

PATIENCE = 0.7
"""Seconds that a cancelled expert may go on before its process is killed; it loads in a moment again."""


MakeRoom = Callable[[], Awaitable[None]]
"""Has other users of the device give back what memory they can do without."""


@dataclass(frozen=True)
class ExpertTask:
    """A call with its files: the volumes to read and the labelmap to write.

    ``sequences`` holds a file for each of the call's. Answered by ExpertSteps and one ExpertOutcome; its
    ``result_id`` is not None if ``labelmap`` was written.
    """

    call: ExpertCall
    volume: Path
    labelmap: Path
    sequences: tuple[Path, ...] = ()


@dataclass(frozen=True)
class ListedExpert:
    """An expert as its process describes it after loading."""

    card: ModelCard
    version: str
    unavailable_because: str


@dataclass(frozen=True)
class LoadInstalledExperts:
    """Makes the worker, in the child. ``device`` may be ``auto``."""

    device: str

    def __call__(self) -> Worker:
        from inference_backend.runtime.expert_worker import load  # imports what the experts need

        return load(self.device)


class ExpertProcess(ProcessBacked):
    """Implements ``ExpertPool`` with a supervised process; volumes and labelmaps travel as files."""

    def __init__(
        self,
        make_worker: MakeWorker,
        store: Store,
        patience: float = PATIENCE,
        policy: RestartPolicy | None = None,
        make_room: MakeRoom | None = None,
    ) -> None:
        """``make_room`` is awaited where the device has too little memory; then the expert tries again."""
        super().__init__(SupervisedProcess("The expert", make_worker, ExpertError, patience, policy))
        self._make_room = make_room
        self._store = store

    def descriptions(self) -> Sequence[ExpertDescription]:
        """All experts, those that cannot run with the reason; none before they have been loaded."""
        return [_description(expert) for expert in self._listed()]

    def offered(self) -> Sequence[ModelCard]:
        """The cards of the experts that can run now; none where their process failed for good."""
        if self.readiness == "failed":
            return []
        return [expert.card for expert in self._listed() if not expert.unavailable_because]

    def version(self, expert: str) -> str:
        """The version of an offered expert."""
        return next(listed.version for listed in self._listed() if listed.card.name == expert)

    async def run(self, call: ExpertCall) -> AsyncIterator[ExpertStep | ExpertNote | ExpertOutcome]:
        """Progress and notes, then one outcome. Raises VilaM3Error, see ``ExpertPool``."""
        if call.volume is None:
            raise InvalidRequest("There is no volume for the expert.", "Open a scan, then ask again.")
        with ExitStack() as files:
            volume = files.enter_context(self._store.volumes.using(call.volume))
            labelmap = files.enter_context(self._store.results.incoming())
            sequences = [
                files.enter_context(self._store.volumes.using(sequence.volume)) for sequence in call.sequences
            ]
            task = ExpertTask(call, volume, labelmap, tuple(sequences))
            async for item in self._with_room(task):
                yield await self._keep(item, labelmap) if isinstance(item, ExpertOutcome) else item

    async def _with_room(self, task: ExpertTask) -> AsyncIterator[Any]:
        try:
            async for item in self._process.run(task):
                yield item
        except VilaM3Error as error:
            if error.code != "out_of_memory" or self._make_room is None:
                raise
        else:
            return
        await self._make_room()
        async for item in self._process.run(task):
            yield item

    async def _keep(self, outcome: ExpertOutcome, labelmap: Path) -> ExpertOutcome:
        if outcome.result_id is None:
            return outcome
        return replace(outcome, result_id=await asyncio.to_thread(self._store.keep_result, labelmap))

    def _listed(self) -> Sequence[ListedExpert]:
        return self._process.info or ()


def _description(expert: ListedExpert) -> ExpertDescription:
    card = expert.card
    return ExpertDescription(
        name=card.name,
        modality=card.modality,
        task=card.task,
        overview=card.overview,
        version=expert.version,
        arguments=card.arguments,
        unavailable_because=expert.unavailable_because,
    )
