"""Workers that misbehave on request, run in real child processes by the tests of the runtime."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from inference_backend.conversation.interfaces import ExpertOutcome, ExpertStep, PreparedPrompt, ReplyEnd
from inference_backend.conversation.model_cards import ModelCard
from inference_backend.runtime.expert_process import ExpertTask, ListedExpert
from inference_backend.runtime.model_process import Generate, Prepare, ReadAhead
from inference_backend.runtime.worker import Emit, IsCancelled, Worker
from inference_backend.store.store import read_volume, write_labelmap
from VILAM3SlicerLib.protocol.errors import Cancelled, CheckpointError, InvalidRequest, ModelError
from VILAM3SlicerLib.protocol.messages import ModelDescription


class ObedientWorker:
    """Requests are words that say what to do."""

    what = "The test worker"
    info = "loaded"

    def handle(self, request: Any, emit: Emit, is_cancelled: IsCancelled) -> None:
        getattr(self, request)(emit, is_cancelled)

    def count(self, emit: Emit, is_cancelled: IsCancelled) -> None:
        for number in range(3):
            emit(number)

    def tell_pid(self, emit: Emit, is_cancelled: IsCancelled) -> None:
        emit(os.getpid())

    def tell_threads(self, emit: Emit, is_cancelled: IsCancelled) -> None:
        import torch

        emit(torch.get_num_threads())

    def count_slowly(self, emit: Emit, is_cancelled: IsCancelled) -> None:
        for number in range(1000):
            if is_cancelled():
                raise Cancelled("Stopped.")
            emit(number)
            time.sleep(0.02)

    def be_deaf(self, emit: Emit, is_cancelled: IsCancelled) -> None:
        emit("begun")
        time.sleep(600)

    def freeze(self, emit: Emit, is_cancelled: IsCancelled) -> None:
        emit("begun")
        os.kill(os.getpid(), signal.SIGSTOP)

    def hang(self, emit: Emit, is_cancelled: IsCancelled) -> None:
        emit("begun")
        Event().wait()  # as a call of the device that never returns: other threads go on

    def think(self, emit: Emit, is_cancelled: IsCancelled) -> None:
        """Long, without a word, but alive."""
        end = time.monotonic() + 4
        while time.monotonic() < end:
            is_cancelled()
            time.sleep(0.02)
        emit("thought")

    def refuse(self, emit: Emit, is_cancelled: IsCancelled) -> None:
        raise InvalidRequest("That cannot be done.", "Do something else.", "odd_code")

    def break_down(self, emit: Emit, is_cancelled: IsCancelled) -> None:
        name = bytes([112, 97, 116, 105, 101, 110, 116]).decode()  # "patient", but not in the source line
        raise KeyError(name)

    def fill_memory(self, emit: Emit, is_cancelled: IsCancelled) -> None:
        raise MemoryError

    def lose_the_device(self, emit: Emit, is_cancelled: IsCancelled) -> None:
        raise ModelError("The device cuda failed in mid-work.", "Ask again.", "device_lost")

    def vanish(self, emit: Emit, is_cancelled: IsCancelled) -> None:
        os._exit(3)


@dataclass(frozen=True)
class Load:
    """Makes a worker, or fails to."""

    failure: str = ""

    def __call__(self) -> ObedientWorker:
        if self.failure == "damaged":
            raise CheckpointError("The checkpoint is damaged.", "Fetch it again.")
        if self.failure == "vanish":
            os._exit(3)
        if self.failure == "freeze":
            os.kill(os.getpid(), signal.SIGSTOP)
        if self.failure == "slow":
            time.sleep(3)
        return ObedientWorker()


@dataclass(frozen=True)
class LoadTinyModel:
    """Makes the model's own worker with a tiny checkpoint, whose replies never end by themselves.

    The number of tokens of each pass through the language model is appended to ``passes``.
    """

    checkpoint: Path
    passes: Path | None = None

    def __call__(self) -> Worker:
        import torch

        from inference_backend.runtime.model_worker import ModelWorker
        from inference_backend.vila_m3.engine import VilaM3Engine

        engine = VilaM3Engine(self.checkpoint)
        engine.model.llm.model.layers[0].register_forward_pre_hook(self._note)
        ends = torch.tensor(engine.model.end_ids)
        engine.model.llm.lm_head.register_forward_hook(
            lambda _head, _inputs, logits: logits.index_fill(-1, ends, -1e4)
        )
        return ModelWorker(engine)

    def _note(self, _layer: Any, inputs: Any) -> None:
        if self.passes is not None:
            with self.passes.open("a") as file:
                file.write(f"{os.getpid()} {inputs[0].shape[1]}\n")


class SlowModel:
    """A model's worker that says "word" until it is stopped."""

    what = "The model"
    info = ModelDescription("slow", "vicuna_v1", 16, 224, 4096, True, "cpu", "float32")

    def handle(self, request: Any, emit: Emit, is_cancelled: IsCancelled) -> None:
        if isinstance(request, Prepare):
            emit(PreparedPrompt(request.messages[-1].text, 1, ()))
            return
        text = request.messages[-1].text
        if "Segment" in text and request.messages[-1].role == "user":
            emit("<CT_TISSUE(lungs)>")
        for _ in range(500 if "slow" in text else 0):
            if is_cancelled():
                raise Cancelled("Stopped.")
            emit("word ")
            time.sleep(0.02)
        emit("Done.")
        emit(ReplyEnd("stop", 1, 1))


class TroubledModel(SlowModel):
    """Says one word and meets with the trouble that the question names."""

    def handle(self, request: Any, emit: Emit, is_cancelled: IsCancelled) -> None:
        if isinstance(request, Generate):
            emit("word ")
            text = request.messages[-1].text
            if "memory" in text:
                raise MemoryError
            if "device" in text:
                raise ModelError("The device cuda failed in mid-work.", "Ask again.", "device_lost")
            if "numbers" in text:
                raise ModelError("The model computed NaN.", "Ask again.", "not_finite")
            if "hang" in text:
                os.kill(os.getpid(), signal.SIGSTOP)
        super().handle(request, emit, is_cancelled)


class ReadingModel(SlowModel):
    """Never comes to the end of what it reads ahead; answers with how often it was told to stop that."""

    def __init__(self) -> None:
        self._stopped = 0

    def handle(self, request: Any, emit: Emit, is_cancelled: IsCancelled) -> None:
        if not isinstance(request, ReadAhead):
            emit(PreparedPrompt(request.messages[-1].text, self._stopped, ()))
            return
        while not is_cancelled():
            time.sleep(0.01)
        self._stopped += 1


class ThresholdExperts:
    """An expert's worker: everything above 0 is "left lung"; "everything" makes it deaf."""

    what = "The expert"
    info = (
        ListedExpert(
            ModelCard("CT_TISSUE", "CT", "segmentation", "o", "a", ("everything", "lungs")), "1", ""
        ),
        ListedExpert(ModelCard("CXR", "CXR", "classification", "o", "a"), "1", "No weights."),
    )

    def handle(self, request: ExpertTask, emit: Emit, is_cancelled: IsCancelled) -> None:
        emit(ExpertStep(0.0, "Reading"))
        if request.call.arguments == "everything":
            time.sleep(600)
        volume = read_volume(request.volume)
        write_labelmap(request.labelmap, volume.with_voxels((volume.voxels > 0).astype("uint8")))
        emit(ExpertOutcome("1", 0.1, "The results are ready. ", result_id="labelmap"))


class CrampedExperts(ThresholdExperts):
    """Has too little memory for its first task."""

    def __init__(self) -> None:
        self._tasks = 0

    def handle(self, request: ExpertTask, emit: Emit, is_cancelled: IsCancelled) -> None:
        self._tasks += 1
        if self._tasks == 1:
            raise MemoryError
        super().handle(request, emit, is_cancelled)


class CallsExperts(SlowModel):
    """A model's worker that calls the expert which the question names after "call "."""

    def handle(self, request: Any, emit: Emit, is_cancelled: IsCancelled) -> None:
        if isinstance(request, Prepare):
            super().handle(request, emit, is_cancelled)
            return
        message = request.messages[-1]
        called = message.text.rpartition("call ")[2] if message.role == "user" else ""
        emit(f"<{called}>" if called else "Done.")
        emit(ReplyEnd("stop", 1, 1))


@dataclass(frozen=True)
class LoadExpertsWithLittleMemory:
    """Makes the experts' own worker on a device that has a gigabyte free."""

    def __call__(self) -> Worker:
        from inference_backend.experts.registry import installed_experts
        from inference_backend.runtime.expert_worker import ExpertWorker
        from inference_backend.runtime.loaded_experts import LoadedExperts

        return ExpertWorker(installed_experts(), "cpu", LoadedExperts("cpu", lambda: 10**9))
