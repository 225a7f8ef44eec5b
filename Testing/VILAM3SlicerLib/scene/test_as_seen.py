"""The picture of a view against independent reslices, by SimpleITK and by scipy on nibabel's geometry."""

from __future__ import annotations

import io

import nibabel
import numpy as np
import pytest
import SimpleITK
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from VILAM3SlicerLib.protocol.errors import SceneError, UnsupportedVolume
from VILAM3SlicerLib.scene.as_seen import see, whole_view
from VILAM3SlicerLib.scene.capture import capture

SHAPE = (38, 46, 30)
PLANES = ("Axial", "Coronal", "Sagittal", "Oblique")
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture
def voxels() -> np.ndarray:
    noise = np.random.default_rng(1).normal(size=SHAPE)
    return np.round(gaussian_filter(noise, 1.5) * 4000).astype(np.int16)


def pixel_positions(geometry) -> np.ndarray:
    """RAS of all pixel centres, shape (4, rows, columns)."""
    rows, columns = np.mgrid[: geometry.rows, : geometry.columns]
    pixels = np.stack([columns, rows, np.zeros_like(rows), np.ones_like(rows)]).astype(float)
    return np.tensordot(np.reshape(geometry.pixel_to_ras, (4, 4)), pixels, axes=1)


def window_as_seen(values: np.ndarray, geometry) -> np.ndarray:
    low = geometry.level - geometry.window / 2
    return np.clip((values - low) * 255 / geometry.window, 0, 255)


def rounding(geometry) -> float:
    """Grey is cut off to whole numbers, and before that voxel values are rounded to whole numbers."""
    return 1.01 + 0.5 * 255 / geometry.window


def decode(png: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(png))
    assert image.mode == "L"
    return np.asarray(image).astype(float)


def well_inside(indices: np.ndarray) -> np.ndarray:
    size = np.reshape(SHAPE, (3, 1, 1))
    return np.all((indices > 0.01) & (indices < size - 1.01), axis=0)


@pytest.mark.parametrize("plane", PLANES)
def test_picture_is_the_slice_that_scipy_finds_with_nibabels_geometry(
    voxels, ijk_to_ras, plane, make_volume, make_view
):
    view = make_view(make_volume(voxels, ijk_to_ras), plane)
    seen = capture(view, "as_seen", "CT")
    scan = nibabel.Nifti1Image(voxels, ijk_to_ras)
    indices = np.tensordot(np.linalg.inv(scan.affine), pixel_positions(seen.geometry), axes=1)[:3]
    expected = map_coordinates(voxels.astype(float), indices, order=1, mode="nearest")
    inside = well_inside(indices)
    difference = np.abs(decode(seen.png) - window_as_seen(expected, seen.geometry))[inside]
    assert inside.mean() > 0.05
    assert difference.max() <= rounding(seen.geometry)


@pytest.mark.parametrize("plane", PLANES)
def test_picture_is_the_slice_that_simpleitk_resamples(voxels, ijk_to_ras, plane, make_volume, make_view):
    view = make_view(make_volume(voxels, ijk_to_ras), plane)
    seen = capture(view, "as_seen", "CT")
    scan = itk_image(voxels.transpose(2, 1, 0), RAS_TO_LPS @ ijk_to_ras)
    pixel_to_lps = RAS_TO_LPS @ np.reshape(seen.geometry.pixel_to_ras, (4, 4))
    canvas = itk_image(np.zeros((1, seen.geometry.rows, seen.geometry.columns), np.int16), pixel_to_lps)
    resampled = SimpleITK.Resample(
        scan, canvas, SimpleITK.Transform(), SimpleITK.sitkLinear, -32768.0, SimpleITK.sitkFloat64
    )
    expected = SimpleITK.GetArrayFromImage(resampled)[0]
    inside = well_inside(np.tensordot(np.linalg.inv(ijk_to_ras), pixel_positions(seen.geometry), axes=1)[:3])
    difference = np.abs(decode(seen.png) - window_as_seen(expected, seen.geometry))[inside]
    assert difference.max() <= rounding(seen.geometry)


def itk_image(kji: np.ndarray, index_to_lps: np.ndarray) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(kji)
    spacing = np.linalg.norm(index_to_lps[:3, :3], axis=0)
    spacing[spacing == 0] = 1.0
    directions = index_to_lps[:3, :3] / spacing
    if kji.shape[0] == 1:  # a picture: its third axis is whatever completes the frame
        directions[:, 2] = np.cross(directions[:, 0], directions[:, 1])
    image.SetSpacing(spacing.tolist())
    image.SetDirection(directions.ravel().tolist())
    image.SetOrigin(index_to_lps[:3, 3].tolist())
    return image


@pytest.mark.parametrize("plane", PLANES)
def test_picture_is_what_slicer_draws(voxels, ijk_to_ras, plane, make_volume, make_view):
    from vtkmodules.util.numpy_support import vtk_to_numpy

    view = make_view(make_volume(voxels, ijk_to_ras), plane)
    drawn = view.logic.GetBackgroundLayer().GetImageDataConnection()
    view.logic.GetBackgroundLayer().UpdateTransforms()
    view.logic.GetBackgroundLayer().GetReslice().Update()
    drawn.GetProducer().Update()
    image = drawn.GetProducer().GetOutputDataObject(drawn.GetIndex())
    columns, rows = view.size
    rgba = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, 4)[::-1]
    seen = capture(view, "as_seen", "CT")
    inside = well_inside(np.tensordot(np.linalg.inv(ijk_to_ras), pixel_positions(seen.geometry), axes=1)[:3])
    assert inside.mean() > 0.05
    np.testing.assert_array_equal(decode(seen.png)[inside], rgba[..., 0][inside])


@pytest.mark.parametrize("mode", ["as_seen", "published"])
def test_parent_transform_moves_the_picture_with_the_volume(  # noqa: PLR0917
    mode, voxels, oblique, make_volume, make_view, put_under_transform
):
    node = make_volume(voxels, oblique)
    view = make_view(node, "Oblique")
    moved = np.eye(4)
    moved[:3, :3] = [[0.0, -1.0, 0.0], [0.96, 0.0, -0.28], [0.28, 0.0, 0.96]]
    moved[:3, 3] = (12.0, -7.0, 3.0)
    put_under_transform(node, moved)
    seen = capture(view, mode, "CT")
    indices = np.tensordot(np.linalg.inv(oblique), pixel_positions(seen.geometry), axes=1)[:3]
    expected = map_coordinates(voxels.astype(float), indices, order=1, mode="nearest")
    inside = well_inside(indices)
    difference = np.abs(decode(seen.png) - window_as_seen(expected, seen.geometry))[inside]
    assert inside.mean() > 0.05
    assert difference.max() <= rounding(seen.geometry)
    if mode == "as_seen":
        world = np.tensordot(moved, pixel_positions(seen.geometry), axes=1)
        top_left = view.node.GetXYToRAS().MultiplyPoint((0, view.size[1] - 1, 0, 1))
        np.testing.assert_allclose(world[:, 0, 0], top_left, atol=1e-9)


def test_patient_right_is_on_the_left_of_axial_and_coronal_pictures(make_volume, make_view, ijk_to_ras):
    voxels = np.full(SHAPE, -1000, np.int16)
    indices = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"))
    ras = np.tensordot(ijk_to_ras[:3, :3], indices, axes=1) + ijk_to_ras[:3, 3].reshape(3, 1, 1, 1)
    middle = (ijk_to_ras @ [*(np.array(SHAPE) / 2 - 0.5), 1])[:3]
    voxels[ras[0] > middle[0]] = 500  # R is positive: bright on the patient's right
    for plane in ("Axial", "Coronal"):
        pixels = decode(capture(make_view(make_volume(voxels, ijk_to_ras), plane), "as_seen", "CT").png)
        half = pixels.shape[1] // 2
        assert pixels[:, :half].mean() > 5 * pixels[:, half:].mean()


def test_outside_is_black_even_where_the_display_inverts(voxels, oblique, make_volume, make_view, scene):
    node = make_volume(voxels, oblique)
    plain = decode(capture(make_view(node), "as_seen", "CT").png)
    node.GetDisplayNode().SetAndObserveColorNodeID("vtkMRMLColorTableNodeInvertedGrey")
    inverted = decode(capture(make_view(node), "as_seen", "CT").png)
    assert plain[0, 0] == inverted[0, 0] == 0
    row, column = (size // 2 for size in plain.shape)
    assert inverted[row, column] == 255 - plain[row, column]


def test_window_of_the_screen_is_used_and_told(voxels, oblique, make_volume, make_view):
    node = make_volume(voxels, oblique)
    node.GetDisplayNode().AutoWindowLevelOff()
    node.GetDisplayNode().SetWindowLevel(300, 40)
    seen = capture(make_view(node), "as_seen", "CT", "0" * 64)
    assert (seen.geometry.window, seen.geometry.level, seen.geometry.volume) == (300, 40, "0" * 64)
    assert (seen.geometry.mode, seen.geometry.plane) == ("as_seen", "axial")


def test_segments_are_not_burnt_in(voxels, oblique, make_volume, make_view, scene):
    node = make_volume(voxels, oblique)
    before = capture(make_view(node), "as_seen", "CT").png
    labels = make_volume(np.ones(SHAPE, np.uint8), oblique, "labels", "vtkMRMLLabelMapVolumeNode")
    view = make_view(node)
    view.logic.GetSliceCompositeNode().SetLabelVolumeID(labels.GetID())
    assert capture(view, "as_seen", "CT").png == before


def test_values_that_are_no_number_are_black(oblique, make_volume, make_view):
    voxels = np.full(SHAPE, 100.0, np.float32)
    voxels[:, :, :] = np.nan
    node = make_volume(voxels, oblique)
    node.GetDisplayNode().AutoWindowLevelOff()
    node.GetDisplayNode().SetWindowLevel(200, 50)
    assert decode(capture(make_view(node), "as_seen", "MRI").png).max() == 0


def test_view_without_a_scan_says_what_to_do(make_view):
    with pytest.raises(SceneError, match="Red shows no scan"):
        capture(make_view(None), "as_seen", "CT")


def test_colour_is_refused(oblique, make_volume, make_view, scene):
    node = make_volume(np.zeros(SHAPE, np.int16), oblique)
    view = make_view(node)
    node.GetImageData().AllocateScalars(3, 3)
    with pytest.raises(UnsupportedVolume, match="3 values per voxel"):
        capture(view, "as_seen", "CT")


def test_as_seen_follows_zoom_and_scroll(voxels, oblique, make_volume, make_view):
    view = make_view(make_volume(voxels, oblique))
    before = see(view, view.background, whole_view(view)).pixel_to_ras
    width, height, depth = view.node.GetFieldOfView()
    view.node.SetFieldOfView(width / 2, height / 2, depth)
    view.node.SetSliceOffset(view.node.GetSliceOffset() + 3.0)
    after = see(view, view.background, whole_view(view)).pixel_to_ras
    assert np.linalg.norm(after[:3, 0]) == pytest.approx(np.linalg.norm(before[:3, 0]) / 2)
    assert after[2, 3] == pytest.approx(before[2, 3] + 3.0)
