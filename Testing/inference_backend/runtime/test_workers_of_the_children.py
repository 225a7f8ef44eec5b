"""The real workers, called here without their processes: a real checkpoint, and experts on a real file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inference_backend.conversation.interfaces import (
    ExpertCall,
    ExpertOutcome,
    ExpertStep,
    Message,
    PreparedPrompt,
    ReplyEnd,
    Sampling,
    View,
)
from inference_backend.conversation.model_cards import ModelCard
from inference_backend.experts.interface import (
    Expert,
    ExpertRequest,
    IsCancelled,
    ReportProgress,
    Segment,
    Segmentation,
)
from inference_backend.experts.registry import BrokenExpert, ExpertRegistry
from inference_backend.imaging.volume import Volume
from inference_backend.runtime.expert_process import ExpertTask
from inference_backend.runtime.expert_worker import ExpertWorker
from inference_backend.runtime.model_process import Generate, LoadVilaM3, MakeRoom, Prepare
from inference_backend.store.store import read_volume
from inference_backend.weights.candidates import Candidate
from VILAM3SlicerLib.protocol.errors import Cancelled, CheckpointError, ExpertError
from VILAM3SlicerLib.protocol.messages import ViewGeometry
from VILAM3SlicerLib.protocol.nrrd import encode_nrrd

QUESTION = (Message("user", "What do you see?"),)


def never() -> bool:
    return False


@pytest.fixture(scope="module")
def worker(golden: Path) -> Any:
    return LoadVilaM3((Candidate(golden / "s3_vicuna3b" / "checkpoint"),), "cpu")()


class TestModelWorker:
    def ask(self, worker: Any, request: Any, is_cancelled: IsCancelled = never) -> list[Any]:
        emitted: list[Any] = []
        worker.handle(request, emitted.append, is_cancelled)
        return emitted

    def test_it_tells_the_prompt(self, worker: Any) -> None:
        (prepared,) = self.ask(worker, Prepare(QUESTION))
        assert isinstance(prepared, PreparedPrompt)
        assert prepared.text.endswith("USER: What do you see? ASSISTANT:")

    def test_it_replies_in_pieces_and_counts_tokens(self, worker: Any) -> None:
        *pieces, end = self.ask(worker, Generate(QUESTION, Sampling(max_tokens=5)))
        assert all(isinstance(piece, str) for piece in pieces)
        (prepared,) = self.ask(worker, Prepare(QUESTION))
        assert end == ReplyEnd("length", prepared.tokens, 5)

    def test_making_room_forgets_what_was_read(self, worker: Any) -> None:
        expected = self.ask(worker, Generate(QUESTION, Sampling(max_tokens=5)))
        assert self.ask(worker, MakeRoom()) == []
        assert self.ask(worker, Generate(QUESTION, Sampling(max_tokens=5))) == expected

    def test_a_cancelled_reply_ends_between_tokens(self, worker: Any) -> None:
        asked: list[int] = []

        def after_ten() -> bool:
            asked.append(1)
            return len(asked) > 10

        with pytest.raises(Cancelled):
            self.ask(worker, Generate(QUESTION, Sampling(max_tokens=500)), after_ten)
        assert len(asked) < 20

    def test_a_folder_that_is_no_checkpoint_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError):
            LoadVilaM3((Candidate(tmp_path),), "cpu")()


class Halver(Expert):
    """An expert: everything in the first half along I is "left"."""

    card = ModelCard("HALVER", "CT", "segmentation", "o", "a", ("left",))
    version = "7"
    tells_sizes = True
    loaded = 0

    def load(self, device: str) -> None:
        self.loaded += 1

    def run(
        self, request: ExpertRequest, report_progress: ReportProgress, is_cancelled: IsCancelled
    ) -> Segmentation:
        for step in range(1000):
            report_progress(step / 1000, "Halving")
        labels = np.zeros(request.volume.voxels.shape, np.uint8)
        labels[: labels.shape[0] // 2] = 1
        return Segmentation(request.volume.with_voxels(labels), (Segment("left", (1,)),))


class TestExpertWorker:
    @pytest.fixture
    def volume(self) -> Volume:
        return Volume(np.arange(8 * 6 * 4, dtype=np.int16).reshape(8, 6, 4), np.diag([1.0, 1.0, 2.0, 1.0]))

    @pytest.fixture
    def task(self, tmp_path: Path, volume: Volume) -> ExpertTask:
        (tmp_path / "volume.nrrd").write_bytes(encode_nrrd(volume.to_nrrd()))
        buffer = io.BytesIO()
        Image.new("RGB", (8, 6), (100, 100, 100)).save(buffer, "PNG")
        matrix = tuple(float(number) for number in np.diag([1.0, 1.0, 1.0, 1.0]).ravel())
        geometry = ViewGeometry("as_seen", "axial", 8, 6, matrix, 400.0, 40.0)  # type: ignore[arg-type]
        views = (View(buffer.getvalue(), geometry),)
        call = ExpertCall("1", "halver", "left", volume.content_hash, views)
        return ExpertTask(call, tmp_path / "volume.nrrd", tmp_path / "labelmap.nrrd")

    def test_the_labelmap_is_written_and_the_model_is_told(self, task: ExpertTask, volume: Volume) -> None:
        expert, emitted = Halver(), list[Any]()
        worker = ExpertWorker(ExpertRegistry([expert]), "cpu")
        worker.handle(task, emitted.append, never)
        *steps, outcome = emitted
        assert steps[:2] == [ExpertStep(0.0, "loading HALVER"), ExpertStep(0.0, "Halving")]
        assert len(steps) < 10  # not every one of a thousand reports
        assert isinstance(outcome, ExpertOutcome)
        assert (outcome.version, outcome.segments[0].voxel_count) == ("7", 4 * 6 * 4)
        assert outcome.feedback_text.startswith("The results are <image>. ")
        assert "left: 0.2 mL" in outcome.feedback_text
        overlay = np.asarray(Image.open(io.BytesIO(outcome.feedback_image or b"")))
        assert (np.ptp(overlay[:, :4], axis=-1) > 0).all()  # coloured
        assert (np.ptp(overlay[:, 4:], axis=-1) == 0).all()  # grey
        labelmap = read_volume(task.labelmap)
        np.testing.assert_array_equal(labelmap.voxels[:4], 1)
        np.testing.assert_array_equal(labelmap.ijk_to_ras, volume.ijk_to_ras)
        worker.handle(task, emitted.append, never)
        assert expert.loaded == 1

    def test_a_cancelled_result_is_not_written(self, task: ExpertTask) -> None:
        with pytest.raises(Cancelled):
            ExpertWorker(ExpertRegistry([Halver()]), "cpu").handle(task, list[Any]().append, lambda: True)
        assert not task.labelmap.exists()

    def test_what_the_expert_refuses_at_once_is_refused_before_it_is_loaded(self, task: ExpertTask) -> None:
        class Choosy(Halver):
            def check(self, request: ExpertRequest) -> None:
                raise ExpertError(f"{request.arguments} of {request.volume.voxels.shape} is refused.")

        expert, emitted = Choosy(), list[Any]()
        with pytest.raises(ExpertError, match=r"left of \(8, 6, 4\) is refused"):
            ExpertWorker(ExpertRegistry([expert]), "cpu").handle(task, emitted.append, never)
        assert expert.loaded == 0
        assert emitted == []

    def test_an_expert_that_cannot_run_says_why(self, task: ExpertTask) -> None:
        worker = ExpertWorker(ExpertRegistry([BrokenExpert("HALVER", "Its weights are missing.")]), "cpu")
        assert worker.info[0].unavailable_because == "Its weights are missing."
        with pytest.raises(ExpertError, match="weights are missing"):
            worker.handle(task, list[Any]().append, never)
