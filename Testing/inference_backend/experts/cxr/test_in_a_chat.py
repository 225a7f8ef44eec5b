"""The real radiograph, from its DICOM file through the viewer's reader, the wire and the experts' worker.

The networks have random weights in the released files' layout.
"""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import torch
from PIL import Image

from browser_viewer.loading import read_scan
from inference_backend.conversation.interfaces import Message
from inference_backend.conversation.loop import Conversation, Turn
from inference_backend.experts.cxr import create
from inference_backend.experts.cxr.ensemble import FINDINGS, MEMBERS, RESNET
from inference_backend.experts.interface import ExpertRequest
from inference_backend.experts.registry import ExpertRegistry
from inference_backend.imaging.volume import Volume
from inference_backend.runtime.expert_worker import ExpertWorker
from inference_backend.weights.catalogue import read_catalogue
from inference_backend.weights.folder import WeightsFolder
from inference_backend.weights.manifest import Manifest
from Testing.inference_backend.conversation.conftest import KeptImages, ScriptedModel
from Testing.inference_backend.experts.cxr.released import write_converted
from Testing.inference_backend.experts.vista3d.test_in_a_chat import ExpertsHere, collected
from VILAM3SlicerLib.protocol.codec import from_json, to_json
from VILAM3SlicerLib.protocol.events import (
    Answer,
    Event,
    ExpertFailed,
    ExpertResult,
    event_from_json,
    event_to_json,
)
from VILAM3SlicerLib.protocol.messages import TurnContext
from VILAM3SlicerLib.protocol.nrrd import encode_nrrd


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder with CXR in it, fetched and converted."""
    root = tmp_path_factory.mktemp("weights")
    folder = write_converted(root / "CXR")
    Manifest("CXR", "hub", "", "2026-11-25T09:00:00+00:00", ()).write(folder)
    return root


@pytest.fixture(scope="module")
def worker(weights: Path) -> Iterator[ExpertWorker]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VILAM3_WEIGHTS", str(weights))
        assert WeightsFolder().state(read_catalogue()["CXR"]) == "present"
        worker = ExpertWorker(ExpertRegistry([create()]), "cpu")
        worker._load(worker._available("CXR"), lambda told: None)
        yield worker


@pytest.fixture
def radiograph(data_folder: Path) -> Path:
    path = data_folder / "radiograph" / "RG1_UNCR.dcm"
    if not path.is_file():
        pytest.skip("the radiograph is not there: python3 setup_backend.py test fetches it")
    return path


class Asked:
    """A question about a volume, put to the conversation with the real experts' worker."""

    def __init__(self, worker: ExpertWorker, folder: Path) -> None:
        self._worker = worker
        self._volume = folder / "volume.nrrd"
        self.kept = KeptImages()

    def about(self, volume: Volume, modality: str, stored_range: tuple[float, float] | None) -> list[Any]:
        """The events, through JSON as they go over the wire."""
        self._volume.write_bytes(encode_nrrd(volume.to_nrrd()))
        sent = TurnContext("t", "s", volume.content_hash, modality, stored_range=stored_range)
        context = from_json(TurnContext, json.loads(json.dumps(to_json(sent))))
        experts = ExpertsHere(self._worker, self._volume, self._volume.with_name("none"))
        model = ScriptedModel("Let me first trigger <CXR()>.", "An effusion.", context_length=4000)
        turn = Turn((Message("user", "Is there an effusion?"),), context)
        events = asyncio.run(collected(Conversation(model, experts, self.kept), turn))
        numbered = [Event("t", number, event) for number, event in enumerate(events, 1)]
        again = [event_from_json(json.loads(json.dumps(event_to_json(event)))) for event in numbered]
        return [event.payload for event in again if event]


@pytest.fixture
def asked(worker: ExpertWorker, tmp_path: Path) -> Asked:
    return Asked(worker, tmp_path)


def of_kind(events: list[Any], kind: type) -> Any:
    (found,) = (event for event in events if isinstance(event, kind))
    return found


def test_the_radiograph_is_rated_and_its_heat_maps_lie_on_it(asked: Asked, radiograph: Path) -> None:
    scan = read_scan(radiograph)
    volume = Volume(scan.voxels.transpose(2, 1, 0), scan.ijk_to_ras)
    events = asked.about(volume, "CXR", scan.tags.stored_range)
    result = of_kind(events, ExpertResult)
    assert (result.expert, result.version, result.result_id) == ("CXR", "torchxrayvision v1", None)
    assert [finding.name for finding in result.findings] == sorted(told(name) for name in FINDINGS)
    assert all(0 <= finding.probability <= 1 for finding in result.findings)
    assert "effusion: " in result.feedback_text
    assert len(result.heat_maps) > 6
    rows, columns = scan.voxels.shape[1:]
    for heat in result.heat_maps:
        pixels = np.asarray(Image.open(io.BytesIO(asked.kept[heat.image])))
        assert pixels.shape == (heat.rows, heat.columns)
        assert pixels.max() == 255
        matrix = np.array(heat.pixel_to_ras).reshape(4, 4)
        ends = [matrix @ (-0.5, -0.5, 0, 1), matrix @ (heat.columns - 0.5, heat.rows - 0.5, 0, 1)]
        corner, opposite = (np.linalg.inv(scan.ijk_to_ras) @ end for end in ends)
        cut = rows // 2 - columns // 2
        np.testing.assert_allclose(corner[:2], (-0.5, cut - 0.5), atol=1e-6)
        np.testing.assert_allclose(opposite[:2], (columns - 0.5, cut + columns - 0.5), atol=1e-6)


def test_the_networks_see_what_the_library_would_show_them(worker: ExpertWorker, radiograph: Path) -> None:
    """The whole way against the library's own steps: pydicom, turn, normalise, crop, resize, vote."""
    expert: Any = worker._registry.find("CXR")
    stored = pydicom.dcmread(radiograph).pixel_array.astype(np.float32)
    image = (2 * ((32767 - stored) / 32767) - 1.0) * 1024
    top = image.shape[0] // 2 - image.shape[1] // 2
    square = torch.from_numpy(np.ascontiguousarray(image[top : top + image.shape[1]]))[None, None]
    scan = read_scan(radiograph)
    volume = Volume(scan.voxels.transpose(2, 1, 0), scan.ijk_to_ras)
    request = ExpertRequest("", volume, modality="CXR", stored_range=scan.tags.stored_range)
    found = expert.run(request, lambda fraction, words: None, lambda: False)
    resnet = expert._ensemble.members[MEMBERS.index(RESNET)]
    picture = torch.nn.functional.interpolate(square, (512, 512), mode="bilinear", antialias=True)
    with torch.no_grad():
        expected = resnet.probabilities(picture)[FINDINGS.index("Pneumothorax")]
    (pneumothorax,) = (one.probability for one in found.findings if one.name == "pneumothorax")
    assert pneumothorax == pytest.approx(expected, abs=2e-5)


def test_what_the_file_could_have_held_reaches_the_networks(asked: Asked) -> None:
    pixels = np.random.default_rng(8).integers(0, 900, (90, 90, 1)).astype(np.uint16)
    dark = Volume(np.asfortranarray(pixels), np.diag([-1.0, -1.0, 1.0, 1.0]))
    untold, ten_bits, sixteen = (
        of_kind(asked.about(dark, "CXR", told), ExpertResult).findings
        for told in (None, (0.0, 1023.0), (0.0, 65535.0))
    )
    assert untold == ten_bits
    assert sixteen != ten_bits


@pytest.mark.parametrize(
    ("shape", "modality", "reason"),
    [
        ((40, 40, 30), "CT", "said to be CT"),
        ((200, 200, 1), "MRI", "said to be MRI"),
        ((1, 1, 1), "CXR", "only 1x1x1 pixels"),
        ((300, 300, 1), "CXR", "all pixels are alike"),
    ],
)
def test_the_chat_goes_on_after_what_is_no_radiograph(
    asked: Asked, shape: tuple[int, int, int], modality: str, reason: str
) -> None:
    started = time.process_time()
    events = asked.about(Volume(np.zeros(shape, np.int16), np.eye(4)), modality, None)
    failed = of_kind(events, ExpertFailed)
    assert reason in failed.error.message
    assert reason in failed.feedback_text
    assert of_kind(events, Answer).text == "An effusion."
    assert time.process_time() - started < 2


def told(name: str) -> str:
    return name.lower().replace("_", " ")
