"""A study through the experts' worker and the conversation: pictures, prompt, labels, words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference_backend.conversation.interfaces import (
    ExpertCall,
    ExpertNote,
    ExpertOutcome,
    ExpertStep,
    Message,
    View,
)
from inference_backend.conversation.loop import Conversation, Turn
from inference_backend.conversation.model_cards import BRATS, ModelCard
from inference_backend.experts.brats.expert import Brats
from inference_backend.experts.registry import ExpertRegistry
from inference_backend.experts.weights import WeightsAt
from inference_backend.imaging.volume import Volume
from inference_backend.runtime.expert_process import ExpertTask
from inference_backend.runtime.expert_worker import ExpertWorker
from inference_backend.store.store import read_volume
from Testing.inference_backend.conversation.conftest import KeptImages, ScriptedModel
from Testing.inference_backend.experts.brats.bundle import write_bundle
from Testing.inference_backend.experts.brats.simulated_study import simulated, tissue_maps
from Testing.inference_backend.experts.storage import cropped, stored_as
from Testing.inference_backend.imaging.test_overlay import png, published_view
from VILAM3SlicerLib.protocol.events import ExpertFailed, ExpertResult, Notice
from VILAM3SlicerLib.protocol.messages import MriSequence, TurnContext
from VILAM3SlicerLib.protocol.mri_sequences import ROLES
from VILAM3SlicerLib.protocol.nrrd import encode_nrrd

REGION = (slice(30, 70), slice(70, 110), slice(66, 98))
TRIGGER = "This looks like an MRI image sequence. Let me first trigger <BRATS()>."


class StudyPool:
    """Implements ``ExpertPool`` with the real worker in this process, on files of a study."""

    def __init__(self, worker: ExpertWorker, files: dict[str, Path], labelmap: Path) -> None:
        self._worker = worker
        self._files = files
        self._labelmap = labelmap

    def offered(self) -> list[ModelCard]:
        return [BRATS]

    def version(self, expert: str) -> str:
        return "0.5.2"

    async def run(self, call: ExpertCall) -> AsyncIterator[ExpertStep | ExpertNote | ExpertOutcome]:
        emitted: list[Any] = []
        sequences = tuple(self._files[one.volume] for one in call.sequences)
        task = ExpertTask(call, self._files[call.volume or ""], self._labelmap, sequences)
        self._worker.handle(task, emitted.append, lambda: False)
        for item in emitted:
            yield item


@pytest.fixture
def study(data_folder: Path) -> list[Volume]:
    """T1c, T1, T2 as one grid; the FLAIR, which is asked about, stored otherwise."""
    tissue = tissue_maps(data_folder / "brain_tissue")
    volumes = [cropped(volume, *REGION) for volume in simulated(tissue, tumour_at=(50, 90, 80))]
    return [*volumes[:3], stored_as(volumes[3], (2, 1, 0), (0, 1, 2))]


@pytest.fixture
def pool(study: list[Volume], tmp_path: Path) -> StudyPool:
    worker = ExpertWorker(ExpertRegistry([Brats(WeightsAt(write_bundle(tmp_path / "BRATS")))]), "cpu")
    files = {}
    for role, volume in zip(ROLES, study, strict=True):
        files[volume.content_hash] = tmp_path / f"{role}.nrrd"
        files[volume.content_hash].write_bytes(encode_nrrd(volume.to_nrrd()))
    return StudyPool(worker, files, tmp_path / "labelmap.nrrd")


def turn(study: list[Volume], sequences: list[MriSequence]) -> Turn:
    """A question about the FLAIR, with the same slice of each sequence."""
    geometry = published_view(study[0].ijk_to_ras, study[0].voxels, 14)
    pixels = np.full((geometry.rows, geometry.columns), 90, np.uint8)
    images = tuple(png(pixels + place) for place in range(4))
    views = tuple(
        View(image, replace(geometry, volume=volume.content_hash))
        for image, volume in zip(images, study, strict=True)
    )
    context = TurnContext(
        "t",
        "s",
        study[3].content_hash,
        "MRI",
        tuple(view.geometry for view in views),
        sequences=tuple(sequences),
    )
    return Turn((Message("user", "Is there a tumour?", images),), context, views)


def events_of(pool: StudyPool, model: ScriptedModel, asked: Turn) -> list[Any]:
    async def collect() -> list[Any]:
        return [event async for event in Conversation(model, pool, KeptImages()).run(asked)]

    return asyncio.run(collect())


def test_a_study_is_told_sequence_by_sequence_and_its_tumour_on_the_first_picture(
    pool: StudyPool, study: list[Volume], tmp_path: Path
) -> None:
    named = [MriSequence(volume.content_hash, "", role) for role, volume in zip(ROLES, study, strict=True)]
    model = ScriptedModel(TRIGGER, "There is one.", context_length=4000)
    events = events_of(pool, model, turn(study, named))
    question = model.seen[0][0].text
    assert "T1(contrast enhanced): <image>" in question.replace("\n", "")
    assert len(model.seen[0][0].images) == 4
    (result,) = (event for event in events if isinstance(event, ExpertResult))
    assert [segment.name for segment in result.segments] == ["whole tumor", "tumor core", "enhancing tumor"]
    whole, core, enhancing = (segment.voxel_count for segment in result.segments)
    assert whole > core > enhancing > 0
    labelmap = read_volume(tmp_path / "labelmap.nrrd")
    np.testing.assert_array_equal(labelmap.ijk_to_ras, study[3].ijk_to_ras)
    assert labelmap.voxels.shape == study[3].voxels.shape
    assert (labelmap.voxels > 0).sum() == whole
    told = model.seen[1][-1]
    assert "The results are <image>" in told.text.replace("\n", " ")
    assert "all colors: whole tumor" in told.text
    assert told.images
    notices = [event.message for event in events if isinstance(event, Notice)]
    assert not any("Resampled" in said for said in notices), "voxels only changed places"


def test_a_missing_sequence_is_named_and_the_chat_goes_on(pool: StudyPool, study: list[Volume]) -> None:
    named = [
        MriSequence(volume.content_hash, "", role)
        for role, volume in zip(ROLES, study, strict=True)
        if role != "T2"
    ]
    model = ScriptedModel(TRIGGER, "I cannot tell.", context_length=4000)
    events = events_of(pool, model, turn(study, named))
    (failure,) = (event for event in events if isinstance(event, ExpertFailed))
    assert failure.error.message.endswith("missing: T2.")
    assert events[-1].text == "I cannot tell."
