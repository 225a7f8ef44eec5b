"""What of a volume node goes over the wire, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from inference_backend.imaging.volume import Volume
from VILAM3SlicerLib.protocol.errors import UnsupportedVolume
from VILAM3SlicerLib.protocol.nrrd import decode_nrrd
from VILAM3SlicerLib.scene.modality import guess_modality
from VILAM3SlicerLib.scene.volumes import (
    VolumeHashing,
    check_volume,
    hash_volume,
    nrrd_pieces,
    pieces,
    read_volume,
    volume_nodes,
    voxel_array,
)

TYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64")


@pytest.mark.parametrize("dtype", TYPES)
def test_hash_is_the_backends_after_the_trip(dtype, ijk_to_ras, make_volume):
    voxels = np.random.default_rng(3).integers(0, 120, (5, 7, 4)).astype(dtype)
    sent = read_volume(make_volume(voxels, ijk_to_ras))
    received = Volume.from_nrrd(decode_nrrd(b"".join(nrrd_pieces(sent))))
    np.testing.assert_array_equal(received.voxels, voxels)
    assert received.ijk_to_ras.ravel().tolist() == list(sent.ijk_to_ras)
    assert hash_volume(sent) == received.content_hash


def test_hash_changes_with_a_voxel_and_with_geometry(oblique, make_volume):
    voxels = np.zeros((5, 7, 4), np.int16)
    whole = hash_volume(read_volume(make_volume(voxels, oblique)))
    shifted = oblique.copy()
    shifted[0, 3] += 1e-9
    assert hash_volume(read_volume(make_volume(voxels, shifted))) != whole
    voxels[4, 6, 3] = 1
    assert hash_volume(read_volume(make_volume(voxels, oblique))) != whole


def test_voxels_are_not_copied(oblique, make_volume):
    node = make_volume(np.zeros((5, 7, 4), np.int16), oblique)
    volume = read_volume(node)
    voxel_array(node)[3, 6, 4] = 257
    assert bytes(volume.voxels)[-2:] == b"\x01\x01"
    assert [len(piece) for piece in pieces(volume, 100)] == [100, 100, 80]


def test_hashing_in_pieces_tells_how_far_it_is(oblique, make_volume):
    volume = read_volume(make_volume(np.zeros((512, 512, 20), np.int16), oblique))
    hashing = VolumeHashing(volume)
    fractions = list(hashing)
    assert len(fractions) == 3
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert hashing.content_hash == hash_volume(volume)


def test_linear_parent_transform_is_left_out(oblique, make_volume, put_under_transform):
    node = make_volume(np.zeros((5, 7, 4), np.int16), oblique)
    before = read_volume(node).ijk_to_ras
    put_under_transform(node, np.diag([-1.0, 1.0, 2.0, 1.0]))
    assert read_volume(node).ijk_to_ras == before


def test_non_linear_parent_transform_is_refused(oblique, make_volume, scene):
    import vtk

    node = make_volume(np.zeros((5, 7, 4), np.int16), oblique)
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    for landmarks, end in (("SetSourceLandmarks", 1.0), ("SetTargetLandmarks", 3.0)):
        points = vtk.vtkPoints()
        for point in ((0, 0, 0), (10, 0, 0), (0, 10, 0), (0, 0, 10), (10, 10, 10 * end)):
            points.InsertNextPoint(point)
        getattr(spline, landmarks)(points)
    transform = scene.AddNewNodeByClass("vtkMRMLTransformNode")
    transform.SetAndObserveTransformToParent(spline)
    node.SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(UnsupportedVolume, match="non-linear") as caught:
        read_volume(node)
    assert "Harden" in caught.value.hint


def test_64_bit_voxels_are_narrowed_where_they_fit(oblique, make_volume):
    voxels = np.full((3, 4, 5), -7, np.int64)
    assert read_volume(make_volume(voxels, oblique)).dtype == "int32"
    voxels[0, 0, 0] = 2**40
    with pytest.raises(UnsupportedVolume, match="32 bits"):
        read_volume(make_volume(voxels, oblique))


def test_what_is_no_scan_is_refused_with_a_reason(oblique, make_volume, scene):
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    labels = make_volume(np.zeros((3, 4, 5), np.uint8), oblique, "labels", "vtkMRMLLabelMapVolumeNode")
    flat = make_volume(np.zeros((3, 4, 5), np.int16), oblique, "flat")
    flat.SetIJKToRASDirections(1, 0, 0, 1, 0, 0, 0, 0, 1)
    colour = make_volume(np.zeros((3, 4, 5), np.uint8), oblique, "colour")
    colour.GetImageData().AllocateScalars(3, 3)
    text = scene.AddNewNodeByClass("vtkMRMLTextNode")
    for node, reason in (
        (None, "no scan"),
        (text, "no scan"),
        (empty, "no voxels"),
        (labels, "label map"),
        (flat, "no size"),
        (colour, "colour"),
    ):
        with pytest.raises(UnsupportedVolume, match=reason) as caught:
            check_volume(node)
        assert caught.value.hint


def test_scans_of_a_scene_leave_label_maps_out(oblique, make_volume, scene):
    scan = make_volume(np.zeros((3, 4, 5), np.int16), oblique)
    make_volume(np.zeros((3, 4, 5), np.uint8), oblique, "labels", "vtkMRMLLabelMapVolumeNode")
    assert volume_nodes(scene) == [scan]


def test_modality_is_read_from_dicom_then_values_then_name(oblique, make_volume, scene):
    hounsfield = np.full((30, 30, 10), -1000, np.int16)
    hounsfield[10:20, 10:20] = 40
    magnitude = np.abs(hounsfield)
    ct = make_volume(hounsfield, oblique, "series 4")
    assert guess_modality(scene, ct) == "CT"
    assert guess_modality(scene, make_volume(magnitude, oblique, "sub-01_FLAIR")) == "MRI"
    assert guess_modality(scene, make_volume(magnitude, oblique, "series 4")) == "Unknown"
    ct.SetAttribute("DICOM.Modality", "MR")
    assert guess_modality(scene, ct) == "MRI"
    ct.SetAttribute("DICOM.Modality", "PT")
    assert guess_modality(scene, ct) == "Unknown"


def test_modality_of_a_dicom_import_stands_in_the_subject_hierarchy(oblique, make_volume, scene):
    import slicer

    node = make_volume(np.zeros((3, 4, 5), np.int16), oblique)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
    hierarchy.SetItemAttribute(item, "DICOM.Modality", "DX")
    assert guess_modality(scene, node) == "CXR"
