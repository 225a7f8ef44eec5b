"""The published slice against pictures that the original code made, and against nibabel's reorientation."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from VILAM3SlicerLib.scene.capture import capture
from VILAM3SlicerLib.scene.geometry import closest_ras_axes
from VILAM3SlicerLib.scene.published import publish

GOLDEN_PICTURES = [
    f"{stored}_{modality}_{index}"
    for stored in ("RAS", "LPS", "PIR")
    for modality in ("CT", "MRI")
    for index in (3, 6)
]


@pytest.mark.parametrize("picture", GOLDEN_PICTURES)
def test_slice_equals_the_original_codes_to_the_last_bit(picture, golden, make_volume):
    stored, modality, index = picture.split("_")
    volumes = np.load(golden / "slices" / "volumes.npz")
    voxels, matrix = volumes[modality.lower()], volumes[f"affine_{stored}"]
    inferior = nibabel.as_closest_canonical(nibabel.Nifti1Image(voxels, matrix)).affine
    ras = (inferior @ [5.0, 5.0, float(index), 1.0])[:3]
    found = publish(make_volume(voxels, matrix), ras, modality)
    expected = np.load(golden / "slices" / "slices.npz")[f"{picture}_image"]
    np.testing.assert_array_equal(found.pixels, expected[..., 0])


@pytest.mark.parametrize("seed", range(50))
def test_closest_axes_are_nibabels(seed):
    random = np.random.default_rng(seed)
    directions, _ = np.linalg.qr(random.normal(size=(3, 3)))
    matrix = np.eye(4)
    matrix[:3, :3] = directions * random.uniform(0.3, 6.0, 3) + random.normal(size=(3, 3)) * 0.02
    orientation = nibabel.io_orientation(matrix)
    for patient_axis, (voxel_axis, backwards) in enumerate(closest_ras_axes(matrix)):
        assert orientation[voxel_axis, 0] == patient_axis
        assert orientation[voxel_axis, 1] == (-1 if backwards else 1)


def test_matrix_says_where_each_pixel_lies(ijk_to_ras, make_volume):
    voxels = np.random.default_rng(0).integers(-150, 250, (14, 17, 11)).astype(np.int16)
    middle = (ijk_to_ras @ [*(np.array(voxels.shape) // 2), 1.0])[:3]
    found = publish(make_volume(voxels, ijk_to_ras), middle, "CT")
    rows, columns = np.mgrid[: found.pixels.shape[0], : found.pixels.shape[1]]
    pixels = np.stack([columns, rows, 0 * rows, 0 * rows + 1]).reshape(4, -1)
    i, j, k, _ = np.rint(np.linalg.inv(ijk_to_ras) @ found.pixel_to_ras @ pixels).astype(int)
    share = (voxels[i, j, k].astype(np.float32) + 150) / np.float32(400)
    np.testing.assert_array_equal(found.pixels.ravel(), (share * np.float32(255)).astype(np.uint8))
    right_to_left, front_to_back = found.pixel_to_ras[:3, 0], found.pixel_to_ras[:3, 1]
    assert right_to_left[0] < 0
    assert front_to_back[1] < 0


def test_slice_is_the_one_at_the_middle_of_any_view(ijk_to_ras, make_volume, make_view):
    voxels = np.zeros((14, 17, 11), np.int16)
    node = make_volume(voxels, ijk_to_ras)
    view = make_view(node, "Sagittal")
    middle = (ijk_to_ras @ [*((np.array(voxels.shape) - 1) / 2), 1.0])[:3]
    view.node.JumpSliceByCentering(*middle)
    geometry = capture(view, "published", "CT").geometry
    superior = closest_ras_axes(ijk_to_ras)[2][0]
    ijk = np.linalg.inv(ijk_to_ras) @ np.reshape(geometry.pixel_to_ras, (4, 4)) @ [0, 0, 0, 1]
    assert abs(ijk[superior] - (voxels.shape[superior] - 1) / 2) <= 0.5 + 1e-9
    assert (geometry.window, geometry.level) == (400, 50)


def test_point_outside_gives_the_nearest_slice(oblique, make_volume):
    voxels = np.zeros((14, 17, 11), np.int16)
    voxels[:, :, -1] = 100
    assert publish(make_volume(voxels, oblique), (0.0, 0.0, 1e6), "CT").pixels.min() == 159


def test_volume_of_one_value_is_black(oblique, make_volume):
    found = publish(make_volume(np.full((4, 5, 6), 7.5, np.float32), oblique), (0.0, 0.0, 0.0), "MRI")
    assert found.pixels.max() == 0
