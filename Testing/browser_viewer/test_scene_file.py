"""Saved scenes, on real Slicer Core: what comes back, and what is refused while nothing was lost yet."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from browser_viewer.dicom_series import DisplayTags
from browser_viewer.loading import Scan
from browser_viewer.scene_file import check_scene_file, load_scene, save_scene
from browser_viewer.slicer_views import add_scan, create_slicer
from Testing.VILAM3SlicerLib.scene.conftest import affine, rotation
from VILAM3SlicerLib.protocol.errors import TooLarge, UnsupportedVolume
from VILAM3SlicerLib.protocol.events import SegmentInfo
from VILAM3SlicerLib.protocol.nrrd import NrrdVolume
from VILAM3SlicerLib.scene.arrays import image_array
from VILAM3SlicerLib.scene.conversation_store import load_conversation, save_conversation
from VILAM3SlicerLib.scene.geometry import ijk_to_ras, ras_to_world, to_vtk, to_wire
from VILAM3SlicerLib.scene.result_segments import ResultSegments
from VILAM3SlicerLib.scene.segment_origin import Origin, read_origin
from VILAM3SlicerLib.scene.segmentation import (
    CLOSED_SURFACE,
    LABELMAP,
    find_segmentation,
    segment_ids,
    segment_of,
    set_visible,
)
from VILAM3SlicerLib.scene.terminology import SlicerTerminology
from VILAM3SlicerLib.scene.volumes import voxel_array

MATRIX = affine(rotation(20, -12, 30), (0.8, 1.2, 2.0), (5.0, -40.0, 12.0))
MOVED = np.array([[0, -1, 0, 10], [1, 0, 0, -5], [0, 0, 1, 3], [0, 0, 0, 1.0]])
CONVERSATION = {"format": "vilam3-conversation", "turns": [{"question": "Wie groß?"}]}


@pytest.fixture(scope="module")
def app():
    return create_slicer()


@pytest.fixture
def scan(app):
    """A scan under a transform, with two segments, one of them hidden, and a conversation."""
    app.scene.Clear(0)
    voxels = np.random.default_rng(1).integers(-1000, 1000, (20, 24, 28), dtype=np.int16)
    node = add_scan(app.scene, Scan("chest", voxels, MATRIX, DisplayTags("CT", 350.0, 40.0)))
    transform = app.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(to_vtk(MOVED))
    node.SetAndObserveTransformNodeID(transform.GetID())
    labels = np.zeros(voxels.shape, np.uint8)
    labels[3:15, 4:20, 5:12], labels[6:18, 4:20, 15:25] = 1, 2
    segments = (
        SegmentInfo("left lung", (1,), "", 0, 0.0, None),
        SegmentInfo("right lung", (2,), "", 0, 0.0, None),
    )
    labelmap = NrrdVolume("uint8", voxels.shape[::-1], to_wire(ijk_to_ras(node)), labels.tobytes())
    ResultSegments(app.scene, SlicerTerminology(app.app_logic)).add(
        node, labelmap, segments, Origin("turn-1", "CT_TISSUE", "1.0")
    )
    set_visible(find_segmentation(app.scene, node), "right lung", False)
    save_conversation(app.scene, CONVERSATION, node)
    yield node
    app.scene.Clear(0)


def test_scan_segments_and_conversation_come_back(app, scan, tmp_path):
    before = find_segmentation(app.scene, scan)
    colors = [segment_of(before, one).GetColor() for one in segment_ids(before)]
    voxels = voxel_array(scan).copy()
    assert before.CreateClosedSurfaceRepresentation()
    save_scene(app, tmp_path / "scene.mrb")
    assert segment_of(before, "left lung").GetRepresentation(CLOSED_SURFACE).GetNumberOfPoints() > 0
    check_scene_file(tmp_path / "scene.mrb")
    app.scene.Clear(0)
    (node,) = load_scene(app, tmp_path / "scene.mrb")
    assert node.GetName() == "chest"
    np.testing.assert_array_equal(voxel_array(node), voxels)
    np.testing.assert_allclose(ijk_to_ras(node), MATRIX, atol=1e-9)
    np.testing.assert_allclose(ras_to_world(node), MOVED)
    assert (node.GetDisplayNode().GetWindow(), node.GetDisplayNode().GetLevel()) == (350.0, 40.0)
    assert load_conversation(app.scene, node) == CONVERSATION
    after = find_segmentation(app.scene, node)
    assert [segment_of(after, one).GetName() for one in segment_ids(after)] == ["left lung", "right lung"]
    np.testing.assert_allclose(
        [segment_of(after, one).GetColor() for one in segment_ids(after)], colors, atol=0.01
    )
    assert read_origin(segment_of(after, "left lung")) == Origin("turn-1", "CT_TISSUE", "1.0")
    assert not after.GetDisplayNode().GetSegmentVisibility("right lung")
    np.testing.assert_allclose(ras_to_world(after), MOVED)
    assert segment_of(after, "left lung").GetRepresentation(CLOSED_SURFACE) is None
    labels = image_array(segment_of(after, "left lung").GetRepresentation(LABELMAP))
    assert (labels == segment_of(after, "left lung").GetLabelValue()).sum() == 12 * 16 * 7


def test_a_scene_without_conversation_gives_its_first_scan(app, scan, tmp_path):
    from VILAM3SlicerLib.scene.conversation_store import forget_conversation

    forget_conversation(app.scene, scan)
    save_scene(app, tmp_path / "scene.mrb")
    (node,) = load_scene(app, tmp_path / "scene.mrb")
    assert (node.GetName(), load_conversation(app.scene, node)) == ("chest", None)


def test_a_name_that_slicer_cannot_save_is_given_as_one_that_it_can(app, tmp_path):
    app.scene.Clear(0)
    voxels = np.ones((4, 5, 6), np.int16)
    scan = add_scan(app.scene, Scan("Smith & <Co>.nrrd", voxels, MATRIX, DisplayTags("CT", 350.0, 40.0)))
    save_conversation(app.scene, CONVERSATION, scan)
    save_scene(app, tmp_path / "scene.mrb")
    (node,) = load_scene(app, tmp_path / "scene.mrb")
    assert (node.GetName(), load_conversation(app.scene, node)) == ("Smith + <Co>.nrrd", CONVERSATION)


def bundle(path, **files: bytes) -> None:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in files.items():
            file.writestr(name.replace("_", "."), content)


def test_what_is_no_scene_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "scene.mrb"
    with pytest.raises(UnsupportedVolume, match="no file"):
        check_scene_file(path)
    path.write_bytes(b"no zip")
    with pytest.raises(UnsupportedVolume, match="cannot be read as a scene"):
        check_scene_file(path)
    bundle(path, notes_txt=b"hello")
    with pytest.raises(UnsupportedVolume, match="no scan"):
        check_scene_file(path)
    bundle(path, scene_mrml=b"<MRML></MRML>")
    with pytest.raises(UnsupportedVolume, match="no scan"):
        check_scene_file(path)
    bundle(path, scene_mrml=b"<MRML><Volume id='v'/></MRML>", data_nrrd=b"12345678")
    damaged = path.read_bytes().replace(b"12345678", b"12345679")
    path.write_bytes(damaged)
    with pytest.raises(UnsupportedVolume, match="in it is damaged"):
        check_scene_file(path)
    monkeypatch.setattr("browser_viewer.scene_file.MAX_UNPACKED_BYTES", 3)
    with pytest.raises(TooLarge, match="unpacks to"):
        check_scene_file(path)


def test_a_scene_whose_scan_is_missing_leaves_the_present_one(app, scan, tmp_path):
    bundle(tmp_path / "scene.mrb", scene_mrml=b"<MRML><Volume id='vtkMRMLScalarVolumeNode1'/></MRML>")
    with pytest.raises(UnsupportedVolume):
        load_scene(app, tmp_path / "scene.mrb")
    assert find_segmentation(app.scene, scan) is not None
