"""Asking from a script, on real Slicer Core without views, through a real HTTP backend."""

from __future__ import annotations

import numpy as np
import pytest

from Testing.browser_viewer.fake_backend import KEY, FakeBackend
from Testing.VILAM3SlicerLib.scene.conftest import affine
from VILAM3SlicerLib.protocol.errors import ConnectionLost, SceneError, Unauthorized, UnsupportedVolume
from VILAM3SlicerLib.scene.conversation_store import load_conversation
from VILAM3SlicerLib.scene.segmentation import CLOSED_SURFACE
from VILAM3SlicerLib.scene.size_table import find_table
from VILAM3SlicerLib.viewer.ask import ScriptedConversation, ask

SHAPE = (48, 44, 30)
LUNGS = ((slice(10, 20), slice(12, 30), slice(8, 22)), (slice(28, 38), slice(12, 30), slice(8, 22)))


@pytest.fixture
def backend():
    backend = FakeBackend(pause=0.0).start()
    yield backend
    backend.stop()


@pytest.fixture
def chest(make_volume):
    """Air in two boxes of the body, 4 mm, right lung first in I."""
    voxels = np.full(SHAPE, -1000, np.int16)
    voxels[6:42, 6:38] = 40
    for lung in LUNGS:
        voxels[lung] = -820
    return make_volume(
        voxels, affine(np.diag([-1.0, -1.0, 1.0]), (4.0, 4.0, 4.0), (90.0, 80.0, -50.0)), "chest"
    )


def test_text_and_segmentation_come_back(scene, app_logic, chest, backend):
    text, segmentation = ask(scene, app_logic, chest, "Segment the lungs.", backend=backend.url, key=KEY)
    assert text.startswith("The left lung measures")
    found = segmentation.GetSegmentation()
    names = [found.GetNthSegment(index).GetName() for index in range(found.GetNumberOfSegments())]
    assert names == ["left lung", "right lung"]
    assert all(
        found.GetNthSegment(index).GetRepresentation(CLOSED_SURFACE).GetNumberOfPoints() for index in (0, 1)
    )
    table = find_table(scene, chest).GetTable()
    one_lung = np.zeros(SHAPE)[LUNGS[0]].size * 0.064
    assert table.GetValueByName(0, "volume_ml").ToDouble() == pytest.approx(one_lung)
    assert load_conversation(scene, chest) is None


def test_the_model_is_given_the_whole_middle_slice_or_the_one_that_is_named(scene, app_logic, chest, backend):
    conversation = ScriptedConversation(scene, app_logic, chest, backend=backend.url, key=KEY)
    conversation.ask("What is this?")
    conversation.ask("And here?", at=(0.0, 0.0, -50.0 + 4 * 9))
    conversation.close()
    middle, other = (turn.question.images[0].geometry for turn in conversation.turns)
    assert (middle.mode, middle.columns, middle.rows) == ("published", 48, 44)
    assert middle.pixel_to_ras[11] in (-50.0 + 4 * 14, -50.0 + 4 * 15)
    assert other.pixel_to_ras[11] == -50.0 + 4 * 9
    assert len(backend.requests[-1]["messages"]) == 3


def test_a_view_that_is_named_is_what_the_model_sees(scene, app_logic, chest, backend, make_view):
    make_view(chest, size=(64, 50))
    conversation = ScriptedConversation(scene, app_logic, chest, backend=backend.url, key=KEY, modality="CXR")
    conversation.ask("What is this?")
    geometry = conversation.turns[0].question.images[0].geometry
    assert (geometry.mode, geometry.columns, geometry.rows) == ("as_seen", 64, 50)
    with pytest.raises(SceneError, match="no slice view 'Blue'"):
        conversation.ask("What is this?", view="Blue")
    conversation.close()


def test_what_goes_wrong_is_raised_and_the_scene_left_alone(scene, app_logic, chest, backend, make_volume):
    before = scene.GetNumberOfNodes()
    with pytest.raises(Unauthorized):
        ask(scene, app_logic, chest, "What?", backend=backend.url, key="wrong")
    with pytest.raises(SceneError, match="only CT and MRI"):
        ask(scene, app_logic, chest, "What?", backend=backend.url, key=KEY, modality="US")
    labels = make_volume(np.ones(SHAPE, np.uint8), np.eye(4), kind="vtkMRMLLabelMapVolumeNode")
    with pytest.raises(UnsupportedVolume, match="label map"):
        ask(scene, app_logic, labels, "What?", backend=backend.url, key=KEY)
    scene.RemoveNode(labels)
    backend.stop()
    with pytest.raises(ConnectionLost):
        ask(scene, app_logic, chest, "What?", backend=backend.url, key=KEY)
    assert scene.GetNumberOfNodes() <= before + 1


def test_a_scan_that_is_closed_in_mid_answer_is_raised(scene, app_logic, chest, backend):
    def breathe():
        if backend.requests:
            scene.Clear(0)

    with pytest.raises(SceneError, match="was closed before its answer was complete"):
        ask(
            scene, app_logic, chest, "Segment the lungs.", backend=backend.url, key=KEY, while_waiting=breathe
        )
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
