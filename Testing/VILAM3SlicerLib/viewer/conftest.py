"""A conversation about a scan on real Slicer Core, with the network and the event loop played by the test."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from Testing.VILAM3SlicerLib.chat.conftest import FakeHost, FakeTransport
from Testing.VILAM3SlicerLib.scene.conftest import (  # noqa: F401 - fixtures
    affine,
    app,
    app_logic,
    make_view,
    make_volume,
    put_under_transform,
    rotation,
    scene,
)
from VILAM3SlicerLib.chat.presenter import Presenter
from VILAM3SlicerLib.protocol.events import (
    Answer,
    Event,
    ExpertCalled,
    ExpertResult,
    Payload,
    Prompt,
    Queued,
    SegmentInfo,
    Text,
)
from VILAM3SlicerLib.protocol.nrrd import NrrdVolume, encode_nrrd
from VILAM3SlicerLib.scene.geometry import ijk_to_ras, to_wire
from VILAM3SlicerLib.viewer.discussion import Discussion
from VILAM3SlicerLib.viewer.scan_scene import ScanScene

SHAPE = (24, 20, 12)
MATRIX = affine(rotation(20, -12, 30), (0.8, 1.2, 2.0), (5.0, -40.0, 12.0))
LIVER, SPLEEN = (slice(2, 10), slice(3, 15), slice(1, 9)), (slice(14, 22), slice(5, 12), slice(2, 8))
TRIGGER = "<VISTA3D(everything)>"


class SceneTransport(FakeTransport):
    """Gives the labelmap that the test has put there."""

    def __init__(self) -> None:
        super().__init__()
        self.labelmaps: dict[str, bytes] = {}

    def get_result(self, result_id, on_done, on_error) -> None:
        on_done(self.labelmaps[result_id])


class LoopHost(FakeHost):
    """An event loop in small: what is to be done later is done by ``run``."""

    def __init__(self) -> None:
        super().__init__()
        self.holds_later = True

    def run(self, until: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not until():
            assert time.monotonic() < end, "never"
            self.turn()

    def turn(self) -> None:
        """Do what waits now, not what comes of it."""
        for action in [self.waiting.pop(0) for _ in range(len(self.waiting))]:
            action()
        time.sleep(0.002)


class Talk:
    """A discussion about the scans of a scene, and short words to play the person and the backend."""

    def __init__(self, mrml_scene: Any, logic: Any) -> None:
        self.scene = mrml_scene
        self.host = LoopHost()
        self.transport = SceneTransport()
        self.scan = ScanScene(mrml_scene, logic, self.host)
        self.presenter = Presenter(self.transport, self.scan, self.host)
        self.discussion = Discussion(self.presenter, self.scan, mrml_scene)
        self.troubles: list[Any] = []
        self.discussion.on_trouble = self.troubles.append
        self._sequence = 0

    def ask(self, text: str = "Segment it.") -> str:
        self._sequence = 0
        return self.presenter.ask(text, "CT", "as_seen").turn_id

    def say(self, *payloads: Payload) -> None:
        stream = self.transport.streams[-1]
        for payload in payloads:
            self._sequence += 1
            stream.on_event(Event(stream.turn_id, self._sequence, payload))

    def call(self, expert: str = "VISTA3D") -> None:
        self.say(
            Queued(0),
            Prompt(0, "<image> Segment it.", 20, ()),
            Text(0, TRIGGER),
            ExpertCalled("c1", 0, expert, "everything", "0.5", TRIGGER, TRIGGER),
        )

    def result(self, labels: np.ndarray, *segments: SegmentInfo, expert: str = "VISTA3D") -> None:
        """The expert's result, on the grid of the scan; ``labels`` in IJK order."""
        matrix = to_wire(ijk_to_ras(self.scan.node))
        volume = NrrdVolume("uint8", labels.shape, matrix, labels.tobytes(order="F"))
        name = f"result-{len(self.transport.labelmaps)}"
        self.transport.labelmaps[name] = encode_nrrd(volume)
        self.say(ExpertResult("c1", expert, "0.5", "everything", 1.5, "It found.", None, name, segments))

    def answer(self, text: str = "Here they are.") -> None:
        self.say(Answer(1, text, "stop", 100, 5, "demo", 1.0))

    def segment(self, labels: np.ndarray, *names: str, expert: str = "VISTA3D") -> str:
        """A whole turn whose expert finds these, numbered from 1."""
        turn_id = self.ask()
        self.call(expert)
        voxel_ml = abs(np.linalg.det(ijk_to_ras(self.scan.node)[:3, :3])) / 1000
        self.result(labels, *segment_infos(labels, names, voxel_ml), expert=expert)
        self.answer()
        self.settle()
        return turn_id

    def settle(self) -> None:
        """Let everything that was fetched reach the scene; surfaces may come later."""
        self.host.run(until=lambda: self.presenter.is_settled)


def segment_infos(labels: np.ndarray, names: tuple[str, ...], voxel_ml: float = 0.0) -> list[SegmentInfo]:
    counts = np.bincount(labels.ravel(), minlength=len(names) + 1).tolist()
    return [
        SegmentInfo(name, (value,), "", counts[value], counts[value] * voxel_ml, None)
        for value, name in enumerate(names, 1)
    ]


def two_organs() -> np.ndarray:
    """Label 1 and 2 as boxes, shape (I, J, K)."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[LIVER], labels[SPLEEN] = 1, 2
    return labels


def segment_voxels(node: Any, segment_id: str) -> np.ndarray:
    """Where a segment is, on the grid of a volume of ``SHAPE``, in IJK order; by the layer's extent."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    segment = node.GetSegmentation().GetSegment(segment_id)
    image = segment.GetRepresentation("Binary labelmap")
    first_i, last_i, first_j, last_j, first_k, last_k = image.GetExtent()
    layer = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions(), order="F")
    whole = np.zeros(SHAPE, bool)
    place = (slice(first_i, last_i + 1), slice(first_j, last_j + 1), slice(first_k, last_k + 1))
    whole[place] = layer == segment.GetLabelValue()
    return whole


@pytest.fixture
def scan(make_volume, make_view) -> Any:  # noqa: F811
    """A scan shown in the Red view."""
    voxels = np.random.default_rng(1).integers(-1000, 1000, SHAPE, dtype=np.int16)
    node = make_volume(voxels, MATRIX, "chest")
    make_view(node)
    return node


@pytest.fixture
def talk(scene, app_logic) -> Any:  # noqa: F811
    """A discussion about nothing yet."""
    talk = Talk(scene, app_logic)
    yield talk
    talk.discussion.close()
