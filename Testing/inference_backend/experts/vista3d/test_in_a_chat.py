"""From the registry through the experts' worker and the conversation, as a person meets it."""

from __future__ import annotations

import asyncio
import io
import shutil
import tomllib
from collections.abc import AsyncIterator, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inference_backend.conversation.interfaces import ExpertCall, ExpertOutcome, ExpertStep, Message, View
from inference_backend.conversation.loop import Conversation, Turn
from inference_backend.conversation.model_cards import ModelCard
from inference_backend.experts.interface import ENTRY_POINT_GROUP
from inference_backend.experts.registry import ExpertRegistry, registry_of
from inference_backend.imaging.volume import Volume
from inference_backend.runtime.expert_process import ExpertTask
from inference_backend.runtime.expert_worker import ExpertWorker
from inference_backend.store.store import read_volume
from inference_backend.weights.catalogue import read_catalogue
from inference_backend.weights.consent import Consents
from inference_backend.weights.folder import WeightsFolder
from inference_backend.weights.manifest import Manifest
from Testing.inference_backend.conversation.conftest import KeptImages, ScriptedModel
from VILAM3SlicerLib.protocol.events import ExpertFailed, ExpertResult
from VILAM3SlicerLib.protocol.messages import TurnContext, ViewGeometry
from VILAM3SlicerLib.protocol.nrrd import encode_nrrd


class ExpertsHere:
    """Implements ``ExpertPool`` with the real worker in this process."""

    def __init__(self, worker: ExpertWorker, volume: Path, labelmap: Path) -> None:
        self._worker = worker
        self._files = volume, labelmap

    def offered(self) -> Sequence[ModelCard]:
        return [listed.card for listed in self._worker.info if not listed.unavailable_because]

    def version(self, expert: str) -> str:
        return next(listed.version for listed in self._worker.info if listed.card.name == expert)

    async def run(self, call: ExpertCall) -> AsyncIterator[ExpertStep | ExpertOutcome]:
        emitted: list[Any] = []
        self._worker.handle(ExpertTask(call, *self._files), emitted.append, lambda: False)
        for item in emitted:
            yield item


def fetched(bundle: Path, folder: Path) -> None:
    """What a download with an accepted licence leaves behind."""
    shutil.copytree(bundle, folder)
    Manifest("VISTA3D", "hub", "f2ae8ec", "2026-11-25T09:00:00+00:00", ()).write(folder)
    consents, entry = Consents(WeightsFolder().root), read_catalogue()["VISTA3D"]
    for file in entry.licence.files:
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text("A licence.")
    texts = consents.read(entry, folder)
    consents.accept(entry, texts, [text.sha256 for text in texts], "a test")


@pytest.fixture
def registry(
    repository: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ExpertRegistry:
    monkeypatch.setenv("VILAM3_WEIGHTS", str(tmp_path))
    fetched(bundle, tmp_path / "VISTA3D")
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    points = project["entry-points"][ENTRY_POINT_GROUP]
    return registry_of([EntryPoint(name, target, ENTRY_POINT_GROUP) for name, target in points.items()])


def test_a_question_is_answered_with_vista3d(
    registry: ExpertRegistry, piece_of_ct: Volume, tmp_path: Path
) -> None:
    (tmp_path / "volume.nrrd").write_bytes(encode_nrrd(piece_of_ct.to_nrrd()))
    worker = ExpertWorker(registry, "cpu")
    experts = ExpertsHere(worker, tmp_path / "volume.nrrd", tmp_path / "labelmap.nrrd")
    model = ScriptedModel("Let me trigger <VISTA3D(lung tumor)>.", "Done.", context_length=4000)
    events = asyncio.run(collected(Conversation(model, experts, KeptImages()), turn(piece_of_ct)))
    (result,) = (event for event in events if isinstance(event, ExpertResult))
    assert (result.expert, result.version, result.arguments) == ("VISTA3D", "0.5.4", "lung tumor")
    assert "<VISTA3D(args)> Modality: CT" in model.seen[0][0].text
    assert "The colors in this image describe red: " in model.seen[1][-1].text
    assert {entry.segment for entry in result.legend} <= {segment.name for segment in result.segments}
    labels = read_volume(tmp_path / "labelmap.nrrd").voxels
    for segment in result.segments:
        assert segment.voxel_count == np.isin(labels, segment.label_values).sum() > 0
    assert events[-1].text == "Done."


def test_without_weights_it_is_not_offered_and_says_what_to_do(
    registry: ExpertRegistry, piece_of_ct: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VILAM3_WEIGHTS", str(tmp_path / "empty"))
    registry = ExpertRegistry([expert for expert in _again(registry) if expert.card.name == "VISTA3D"])
    (listed,) = ExpertWorker(registry, "cpu").info
    assert "setup_backend.py weights download VISTA3D" in listed.unavailable_because
    experts = ExpertsHere(ExpertWorker(registry, "cpu"), tmp_path / "v", tmp_path / "l")
    model = ScriptedModel("Let me trigger <VISTA3D(organs)>.", "I cannot.", context_length=4000)
    events = asyncio.run(collected(Conversation(model, experts, KeptImages()), turn(piece_of_ct)))
    assert [event.expert for event in events if isinstance(event, ExpertFailed)] == ["VISTA3D"]
    assert "VISTA3D" not in model.seen[0][0].text


def _again(registry: ExpertRegistry) -> list[Any]:
    from inference_backend.experts.vista3d import create

    return [create() if expert.card.name == "VISTA3D" else expert for expert in registry.experts]


async def collected(conversation: Conversation, asked: Turn) -> list[Any]:
    return [event async for event in conversation.run(asked)]


def turn(volume: Volume) -> Turn:
    """A question about the middle axial slice, whole."""
    columns, rows, slices = volume.voxels.shape
    buffer = io.BytesIO()
    Image.new("L", (columns, rows), 90).save(buffer, "PNG")
    pixel_to_ras = volume.ijk_to_ras.copy()
    pixel_to_ras[:3, 3] = (volume.ijk_to_ras @ (0, 0, slices // 2, 1))[:3]
    matrix = tuple(float(number) for number in pixel_to_ras.ravel())
    geometry = ViewGeometry("published", "axial", columns, rows, matrix, 400, 50)  # type: ignore[arg-type]
    image = buffer.getvalue()
    context = TurnContext("t", "s", volume.content_hash, "CT", (geometry,))
    return Turn((Message("user", "What is there?", (image,)),), context, (View(image, geometry),))
