"""Results as segments: the voxels sent, on the scan's grid, undone without touching anything else."""

from __future__ import annotations

import nrrd
import numpy as np
import pytest

from Testing.VILAM3SlicerLib.scene.conftest import affine, rotation
from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.protocol.events import SegmentInfo
from VILAM3SlicerLib.protocol.messages import IDENTITY
from VILAM3SlicerLib.protocol.nrrd import NrrdVolume, decode_nrrd, encode_nrrd
from VILAM3SlicerLib.scene.arrays import image_array
from VILAM3SlicerLib.scene.geometry import ijk_to_ras as node_ijk_to_ras
from VILAM3SlicerLib.scene.geometry import image_to_ras, to_wire
from VILAM3SlicerLib.scene.segment_origin import Origin, read_origin
from VILAM3SlicerLib.scene.segmentation import (
    LABELMAP,
    find_segmentation,
    remove_segments,
    save_segmentation,
    segment_ids,
    segment_of,
    set_visible,
)
from VILAM3SlicerLib.scene.steps import finish

SHAPE = (20, 40, 12)
FIRST = Origin("turn-1", "CT_TISSUE", "1.0")
SECOND = Origin("turn-2", "CT_TISSUE", "1.0")


def info(name: str, *values: int, terminology: str = "") -> SegmentInfo:
    return SegmentInfo(name, values, terminology, 0, 0.0, None)


LUNGS = (info("left lung", 1, terminology="left lung"), info("right lung", 2, terminology="right lung"))
BODY = info("body", 1, 2, 3)


@pytest.fixture
def labels() -> np.ndarray:
    labels = np.random.default_rng(5).integers(0, 4, SHAPE).astype(np.uint8)
    labels[:, :, 0] = 0
    return labels


@pytest.fixture
def scan(make_volume, ijk_to_ras):
    return make_volume(np.zeros(SHAPE, np.int16), ijk_to_ras)


def sent(labels: np.ndarray, scan) -> NrrdVolume:
    """As the backend sends it: through the bytes of an NRRD file."""
    volume = NrrdVolume(labels.dtype.name, labels.shape, to_wire(node_ijk_to_ras(scan)), labels.tobytes("F"))
    return decode_nrrd(encode_nrrd(volume, compress=True))


def mask_of(node, segment_id: str) -> np.ndarray:
    """The segment's voxels in IJK order, as Slicer itself exports them."""
    import slicer
    from vtkmodules.util.numpy_support import vtk_to_numpy

    image = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation(segment_id, image)
    whole = np.zeros(SHAPE, bool)
    i0, i1, j0, j1, k0, k1 = image.GetExtent()
    voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1)
    whole[i0 : i1 + 1, j0 : j1 + 1, k0 : k1 + 1] = voxels.transpose(2, 1, 0) > 0
    return whole


def test_segments_have_the_voxels_that_were_sent(labels, scan, results, scene):
    ids = results.add(scan, sent(labels, scan), (*LUNGS, BODY), FIRST)
    node = find_segmentation(scene, scan)
    np.testing.assert_array_equal(mask_of(node, ids["left lung"]), labels == 1)
    np.testing.assert_array_equal(mask_of(node, ids["right lung"]), labels == 2)
    np.testing.assert_array_equal(mask_of(node, ids["body"]), labels > 0)


def test_grid_is_the_scans_bit_for_bit(labels, scan, results, scene):
    ids = results.add(scan, sent(labels, scan), (*LUNGS, BODY), FIRST)
    for segment_id in ids.values():
        image = segment_of(find_segmentation(scene, scan), segment_id).GetRepresentation(LABELMAP)
        np.testing.assert_array_equal(image_to_ras(image), node_ijk_to_ras(scan))
        assert image.GetDimensions() == SHAPE


def test_single_labels_share_a_layer_and_keep_their_values(labels, scan, results, scene):
    ids = results.add(scan, sent(labels, scan), (BODY, *LUNGS, info("again", 2)), FIRST)
    segmentation = find_segmentation(scene, scan).GetSegmentation()
    left, right = (segmentation.GetSegment(ids[name]) for name in ("left lung", "right lung"))
    assert left.GetRepresentation(LABELMAP) is right.GetRepresentation(LABELMAP)
    assert (left.GetLabelValue(), right.GetLabelValue()) == (1, 2)
    assert segmentation.GetNumberOfLayers() == 3
    assert set(np.unique(image_array(left.GetRepresentation(LABELMAP)))) == {0, 1, 2}


def test_known_structures_are_coded_and_all_colours_differ(labels, scan, results, scene):
    from vtkmodules.vtkCommonCore import reference

    segments = (*LUNGS, info("something unknown", 3), BODY)
    ids = results.add(scan, sent(labels, scan), segments, FIRST)
    node = find_segmentation(scene, scan)
    tag = reference("")
    left = segment_of(node, ids["left lung"])
    left.GetTag(left.GetTerminologyEntryTagName(), tag)
    assert "SCT^39607008^Lung" in tag.get()
    assert "SCT^7771000^Left" in tag.get()
    np.testing.assert_allclose(np.array(left.GetColor()) * 255, (197, 165, 145))
    assert len({segment_of(node, segment_id).GetColor() for segment_id in ids.values()}) == 4


def test_undo_takes_one_turn_and_nothing_else(labels, scan, results, scene):
    results.add(scan, sent(labels, scan), LUNGS, FIRST)
    node = find_segmentation(scene, scan)
    own = node.GetSegmentation().AddEmptySegment("", "drawn by hand")
    results.add(scan, sent(labels, scan), (info("bone", 3),), SECOND)
    assert results.remove_turn(scan, "turn-2") == 1
    assert results.remove_turn(scan, "no such turn") == 0
    assert segment_ids(node) == ["left lung", "right lung", own]
    np.testing.assert_array_equal(mask_of(node, "left lung"), labels == 1)
    assert results.remove_turn(scan, "turn-1") == 2
    assert segment_ids(node) == [own]


def test_removing_one_segment_wipes_it_from_the_shared_layer(labels, scan, results, scene):
    ids = results.add(scan, sent(labels, scan), LUNGS, FIRST)
    node = find_segmentation(scene, scan)
    remove_segments(node, [ids["left lung"]])
    layer = segment_of(node, ids["right lung"]).GetRepresentation(LABELMAP)
    assert set(np.unique(image_array(layer))) == {0, 2}


def test_repeated_call_replaces_its_segments_and_keeps_their_colours(labels, scan, results, scene):
    first = results.add(scan, sent(labels, scan), LUNGS, FIRST)
    node = find_segmentation(scene, scan)
    segment_of(node, first["left lung"]).SetColor(0.1, 0.2, 0.3)
    second = results.add(scan, sent(np.roll(labels, 1, 0), scan), LUNGS[:1], SECOND)
    assert len(segment_ids(node)) == 2
    assert segment_of(node, second["left lung"]).GetColor() == pytest.approx((0.1, 0.2, 0.3))
    assert read_origin(segment_of(node, second["left lung"])) == SECOND
    assert read_origin(segment_of(node, first["right lung"])) == FIRST


def test_edited_segment_stays_beside_the_new_one(labels, scan, results, scene):
    first = results.add(scan, sent(labels, scan), LUNGS, FIRST)
    node = find_segmentation(scene, scan)
    voxels = image_array(segment_of(node, first["left lung"]).GetRepresentation(LABELMAP))
    k, j, i = np.argwhere(voxels == 1)[0]
    voxels[k, j, i] = 0
    results.add(scan, sent(labels, scan), LUNGS, SECOND)
    names = [segment_of(node, segment_id).GetName() for segment_id in segment_ids(node)]
    assert sorted(names) == ["left lung", "left lung", "right lung"]


def test_another_experts_segment_of_the_same_name_stays(labels, scan, results, scene):
    results.add(scan, sent(labels, scan), LUNGS, FIRST)
    results.add(scan, sent(labels, scan), LUNGS, Origin("turn-2", "VISTA3D", "2"))
    assert len(segment_ids(find_segmentation(scene, scan))) == 4


def test_parent_transform_of_the_scan_is_given_to_its_segments(
    labels, scan, results, scene, put_under_transform
):
    transform = put_under_transform(scan, np.diag([-1.0, 1.0, 1.0, 1.0]))
    results.add(scan, sent(labels, scan), LUNGS, FIRST)
    assert find_segmentation(scene, scan).GetTransformNodeID() == transform.GetID()


@pytest.fixture
def moved_scan(scan, put_under_transform):
    """The scan under a parent transform that turns and shifts it."""
    put_under_transform(scan, affine(rotation(10, 20, 30), (1.0, 1.0, 1.0), (5.0, -7.0, 9.0)))
    return scan


def test_file_saved_under_a_parent_transform_holds_the_very_voxels(
    labels, moved_scan, results, app, tmp_path
):
    results.add(moved_scan, sent(labels, moved_scan), LUNGS, FIRST)
    path = tmp_path / "segmentation.seg.nrrd"
    save_segmentation(app.scene, find_segmentation(app.scene, moved_scan), path)
    read = app.io_manager.load_segmentation(str(path))
    for segment_id, value in (("left lung", 1), ("right lung", 2)):
        np.testing.assert_array_equal(mask_of(read, segment_id), labels == value)


def test_adding_goes_on_in_pieces_and_can_be_given_up_between_two(labels, scan, results, scene):
    steps = results.add_in_steps(scan, sent(labels, scan), (*LUNGS, BODY), FIRST)
    while find_segmentation(scene, scan) is None or not segment_ids(find_segmentation(scene, scan)):
        next(steps)
    steps.close()
    assert segment_ids(find_segmentation(scene, scan)) == ["left lung"]
    results.remove_turn(scan, "turn-1")
    assert segment_ids(find_segmentation(scene, scan)) == []


def test_result_for_another_grid_is_refused_and_the_scene_untouched(labels, scan, results, scene):
    wrong_place = NrrdVolume("uint8", SHAPE, IDENTITY, labels.tobytes("F"))
    wrong_size = sent(labels[:-1], scan)
    no_labels = sent(labels.astype(np.float32), scan)
    for labelmap in (wrong_place, wrong_size, no_labels, sent(labels.astype(np.int16) - 1, scan)):
        with pytest.raises(SceneError) as caught:
            results.add(scan, labelmap, LUNGS, FIRST)
        assert caught.value.hint
    assert find_segmentation(scene, scan) is None


def test_saved_file_is_read_by_another_library_with_names_and_place(labels, scan, results, scene, tmp_path):
    results.add(scan, sent(labels, scan), LUNGS, FIRST)
    path = tmp_path / "segmentation.seg.nrrd"
    save_segmentation(scene, find_segmentation(scene, scan), path)
    voxels, header = nrrd.read(str(path))
    assert (header["Segment0_Name"], header["Segment1_Name"]) == ("left lung", "right lung")
    signs = (-1, -1, 1) if header["space"] == "left-posterior-superior" else (1, 1, 1)
    first_voxel = np.array(header["space origin"]) * signs
    start = np.rint(np.linalg.inv(node_ijk_to_ras(scan)) @ [*first_voxel, 1.0]).astype(int)[:3]
    whole = np.zeros(SHAPE, np.uint8)
    whole[tuple(slice(s, s + n) for s, n in zip(start, voxels.shape, strict=True))] = voxels
    for number, value in ((0, 1), (1, 2)):
        label = int(header[f"Segment{number}_LabelValue"])
        np.testing.assert_array_equal(whole == label, labels == value)


def test_saved_segments_come_back_with_their_origin_and_unedited(labels, scan, results, app, tmp_path):
    results.add(scan, sent(labels, scan), (*LUNGS, BODY), FIRST)
    path = tmp_path / "segmentation.seg.nrrd"
    save_segmentation(app.scene, find_segmentation(app.scene, scan), path)
    read = app.io_manager.load_segmentation(str(path))
    assert finish(results.edited_in_steps(read, segment_ids(read))) == set()
    assert segment_ids(read, "turn-1") == segment_ids(read)


def test_saving_where_nothing_can_be_written_says_so(labels, scan, results, scene, tmp_path):
    results.add(scan, sent(labels, scan), LUNGS, FIRST)
    with pytest.raises(SceneError, match="could not be written"):
        save_segmentation(scene, find_segmentation(scene, scan), tmp_path / "missing" / "a.seg.nrrd")


def test_unknown_segment_is_an_error_that_says_so(labels, scan, results, scene):
    results.add(scan, sent(labels, scan), LUNGS, FIRST)
    with pytest.raises(SceneError, match="no segment 'spleen'"):
        set_visible(find_segmentation(scene, scan), "spleen", False)
