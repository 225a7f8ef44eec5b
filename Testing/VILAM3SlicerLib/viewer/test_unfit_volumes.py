"""Volumes that cannot be talked about, and odd ones that can: a word for each, nothing half-changed."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from Testing.VILAM3SlicerLib.viewer.conftest import MATRIX, SHAPE, segment_infos, two_organs
from Testing.VILAM3SlicerLib.viewer.test_bad_input import bend, nodes, only_notice
from VILAM3SlicerLib.protocol.errors import UnsupportedVolume
from VILAM3SlicerLib.protocol.nrrd import decode_nrrd
from VILAM3SlicerLib.scene.segmentation import find_segmentation
from VILAM3SlicerLib.scene.views import slice_view


def image(components: int = 1, size: tuple[int, int, int] = (6, 5, 4)):
    from vtkmodules.vtkCommonDataModel import vtkImageData

    made = vtkImageData()
    made.SetDimensions(size)
    made.AllocateScalars(4, components)  # short
    made.GetPointData().GetScalars().Fill(7)
    return made


def of_class(kind: str, made):
    def make(scene):
        node = scene.AddNewNodeByClass(kind, "odd")
        node.SetAndObserveImageData(made() if made is not None else None)
        return node

    return make


def tensors():
    """Diffusion tensors stand in the point data as tensors: there are no scalars."""
    from vtkmodules.vtkCommonCore import vtkFloatArray

    made = image()
    array = vtkFloatArray()
    array.SetNumberOfComponents(9)
    array.SetNumberOfTuples(made.GetNumberOfPoints())
    array.Fill(0.0)
    made.GetPointData().SetScalars(None)
    made.GetPointData().SetTensors(array)
    return made


def under_a_bend(scene):
    node = of_class("vtkMRMLScalarVolumeNode", image)(scene)
    bend(scene, node)
    return node


def without_size(scene):
    node = of_class("vtkMRMLScalarVolumeNode", image)(scene)
    node.SetSpacing(1e-5, 1e-5, 1e-5)
    return node


def no_points():
    from vtkmodules.vtkCommonDataModel import vtkImageData

    made = vtkImageData()
    made.SetDimensions(0, 0, 0)
    made.AllocateScalars(4, 1)
    return made


def no_scalars():
    made = image()
    made.GetPointData().SetScalars(None)
    return made


UNFIT = {
    "no image": (of_class("vtkMRMLScalarVolumeNode", None), "has no voxels"),
    "no voxels": (of_class("vtkMRMLScalarVolumeNode", no_points), "has no voxels"),
    "no values": (of_class("vtkMRMLScalarVolumeNode", no_scalars), "has no voxels"),
    "colour": (of_class("vtkMRMLVectorVolumeNode", lambda: image(3)), "3 values per voxel"),
    "several frames": (of_class("vtkMRMLScalarVolumeNode", lambda: image(12)), "12 values per voxel"),
    "diffusion": (of_class("vtkMRMLDiffusionWeightedVolumeNode", lambda: image(7)), "7 values per voxel"),
    "tensors": (of_class("vtkMRMLDiffusionTensorVolumeNode", tensors), "diffusion tensors"),
    "label map": (of_class("vtkMRMLLabelMapVolumeNode", image), "is a label map"),
    "bent": (under_a_bend, "non-linear transform"),
    "flat voxels": (without_size, "have no size"),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_what_cannot_be_talked_about_is_said_once_and_nothing_changes(talk, scan, scene, kind):
    make, word = UNFIT[kind]
    talk.discussion.open(scan)
    talk.segment(two_organs(), "liver")
    talk.host.run(until=lambda: not talk.scan.sizes.is_measuring)
    odd = make(scene)
    slice_view(talk.scan._app_logic, "Red").logic.GetSliceCompositeNode().SetBackgroundVolumeID(odd.GetID())
    before = nodes(scene)
    for _ in range(3):
        talk.discussion.follow_view()
    (trouble,) = talk.troubles
    assert word in trouble.message
    assert trouble.hint
    with pytest.raises(UnsupportedVolume, match=word):
        talk.discussion.open(odd)
    sent = len(talk.transport.requests)
    talk.discussion.open(scan)
    assert (len(talk.transport.requests), talk.scan.node) == (sent, scan)
    assert [row.name for row in talk.scan.rows()] == ["liver"]
    assert len(talk.presenter.turns) == 1
    assert nodes(scene) == before


@pytest.mark.parametrize("kind", UNFIT)
def test_a_question_about_it_is_refused_and_leaves_no_turn(talk, scene, make_view, kind):
    make, word = UNFIT[kind]
    make_view(make(scene))
    before = nodes(scene)
    for mode in ("as_seen", "published"):
        with pytest.raises(UnsupportedVolume, match=word):
            talk.presenter.ask("What is it?", "CT", mode)
    assert (talk.presenter.turns, talk.transport.requests, nodes(scene)) == ((), [], before)


SPOILED = {
    "some": lambda voxels: voxels[3:9, 4:8].fill(np.nan),
    "infinite": lambda voxels: voxels[3:9, 4:8].fill(np.inf),
    "all": lambda voxels: voxels.fill(np.nan),
}


@pytest.mark.parametrize("mode", ["as_seen", "published"])
@pytest.mark.parametrize("spoiled", SPOILED)
def test_values_that_are_no_numbers_are_sent_as_they_are_and_seen_black(
    talk, make_volume, make_view, spoiled, mode
):
    voxels = np.random.default_rng(1).normal(0, 300, SHAPE).astype(np.float32)
    SPOILED[spoiled](voxels)
    node = make_volume(voxels, MATRIX, "spoiled")
    make_view(node)
    talk.discussion.open(node)
    turn = talk.presenter.ask("Segment it.", talk.scan.modality, mode)
    (request,) = talk.transport.requests
    json.dumps(request["vilam3"], allow_nan=False, default=list)
    (view,) = request["vilam3"]["views"]
    assert math.isfinite(view["window"])
    assert math.isfinite(view["level"])
    (volume,) = talk.transport.volumes
    sent = np.frombuffer(decode_nrrd(b"".join(volume.pieces)).voxels, np.float32)
    np.testing.assert_array_equal(sent.reshape(SHAPE, order="F"), voxels)
    assert turn.question.images[0].png.startswith(b"\x89PNG")


@pytest.fixture
def heart(scene, make_volume, make_view):
    """A sequence of two frames, the first of them in the view through its proxy; ``heart.show(frame)``."""
    import slicer

    frames = [np.full(SHAPE, 100 * number, np.int16) for number in (1, 2)]
    logic = slicer.vtkSlicerSequencesLogic()
    logic.SetMRMLScene(scene)
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "heart sequence")
    sequence.SetIndexName("time")
    for number, voxels in enumerate(frames):
        frame = make_volume(voxels, MATRIX, "frame")
        sequence.SetDataNodeAtValue(frame, str(number))
        scene.RemoveNode(frame)
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    logic.UpdateProxyNodesFromSequences(browser)
    proxy = browser.GetProxyNode(sequence)
    make_view(proxy)

    class Heart:
        node, voxels = proxy, frames

        def show(self, frame: int) -> None:
            browser.SetSelectedItemNumber(frame)
            logic.UpdateProxyNodesFromSequences(browser)

    yield Heart()
    logic.SetMRMLScene(None)


def test_of_a_sequence_the_frame_that_is_shown_is_asked_about(talk, heart):
    talk.discussion.open(heart.node)
    for number, voxels in enumerate(heart.voxels):
        heart.show(number)
        talk.ask()
        sent = np.frombuffer(decode_nrrd(b"".join(talk.transport.volumes[-1].pieces)).voxels, np.int16)
        np.testing.assert_array_equal(sent.reshape(SHAPE, order="F"), voxels)
        talk.answer()
        talk.settle()
    assert talk.troubles == []


def test_another_frame_in_mid_answer_is_said_and_nothing_is_added(talk, heart):
    talk.discussion.open(heart.node)
    talk.ask()
    talk.call()
    heart.show(1)
    labels = two_organs()
    talk.result(labels, *segment_infos(labels, ("liver",)))
    talk.answer()
    talk.settle()
    assert "was changed after the question" in only_notice(talk)
    assert find_segmentation(talk.scene, heart.node) is None
