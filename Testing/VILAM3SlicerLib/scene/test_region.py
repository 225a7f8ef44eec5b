"""A picture of a box: its pixels are those of the whole picture, or finer, at the same place."""

from __future__ import annotations

import io

import nibabel
import numpy as np
import pytest
from PIL import Image

from Testing.VILAM3SlicerLib.scene.conftest import STORED_AS, affine, rotation
from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.scene.capture import capture, capture_all
from VILAM3SlicerLib.scene.geometry import from_wire
from VILAM3SlicerLib.scene.region import rectangle_of

BOX = np.diag([12.0, 8.0, 10.0, 1.0])
"""Around the origin of the world, 12 x 8 x 10 mm."""

CENTRED = affine(np.diag([-1.0, -1.0, 1.0]), (1.0, 1.0, 1.0), (20.0, 20.0, -15.0))


def pixels(view) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(view.png)))


def ramp(shape=(41, 41, 31)) -> np.ndarray:
    """Each voxel another value along each axis, so that a wrong place shows."""
    i, j, k = np.indices(shape)
    return (5 * i + 2 * j + k).astype(np.int16)


def values_at(volume: np.ndarray, matrix: np.ndarray, ras: np.ndarray) -> np.ndarray:
    """The ramp at places, which is linear: exact by hand."""
    i, j, k = np.moveaxis(nibabel.affines.apply_affine(np.linalg.inv(matrix), ras), -1, 0)
    return 5 * i + 2 * j + k


def places(geometry) -> np.ndarray:
    columns, rows = np.meshgrid(np.arange(geometry.columns), np.arange(geometry.rows))
    points = np.stack([columns, rows, np.zeros_like(rows)], axis=-1)
    return nibabel.affines.apply_affine(from_wire(geometry.pixel_to_ras), points)


@pytest.mark.parametrize("orientation", ["Axial", "Coronal", "Sagittal", "Oblique"])
def test_the_picture_is_of_the_box_and_shows_what_is_there(make_volume, make_view, orientation) -> None:
    node = make_volume(ramp(), CENTRED)
    node.GetDisplayNode().SetAutoWindowLevel(0)
    node.GetDisplayNode().SetWindowLevel(400, 150)
    seen = capture(make_view(node, orientation), "as_seen", "CT", box_to_world=BOX)
    assert max(seen.geometry.columns, seen.geometry.rows) >= 384
    where = places(seen.geometry)
    corners = where[[0, 0, -1, -1], [0, -1, 0, -1]]
    if orientation != "Oblique":
        inside = np.sort(np.ptp(corners, axis=0))
        expected = {"Axial": (0, 8, 12), "Coronal": (0, 10, 12), "Sagittal": (0, 8, 10)}[orientation]
        np.testing.assert_allclose(inside, expected, atol=0.05)
    grey = np.clip((values_at(ramp(), CENTRED, where) + 50) * 255 / 400, 0, 255)
    rounded_voxel = 0.5 * 255 / 400
    assert np.abs(pixels(seen).astype(float) - grey).max() <= 1 + rounded_voxel


def test_a_close_view_does_not_make_the_picture_of_a_box_huge(make_volume, make_view) -> None:
    node = make_volume(ramp(), CENTRED)
    view = make_view(node, "Axial")
    view.logic.GetSliceNode().SetFieldOfView(0.2, 0.2, 1.0)
    seen = capture(view, "as_seen", "CT", box_to_world=BOX)
    assert max(seen.geometry.columns, seen.geometry.rows) == 2048
    np.testing.assert_allclose(np.ptp(places(seen.geometry)[..., 0]), 12, atol=0.05)


def test_a_box_on_a_volume_under_a_transform_is_cut_out_in_the_world(
    make_volume, make_view, put_under_transform
) -> None:
    node = make_volume(ramp(), CENTRED)
    moved = affine(rotation(0, 0, 20), (1.0, 1.0, 1.0), (3.0, -2.0, 1.0))
    put_under_transform(node, moved)
    seen = capture(make_view(node), "as_seen", "CT", box_to_world=BOX)
    world = nibabel.affines.apply_affine(moved, places(seen.geometry))
    np.testing.assert_allclose(world.min(axis=(0, 1))[:2], (-6, -4), atol=0.05)
    np.testing.assert_allclose(world.max(axis=(0, 1))[:2], (6, 4), atol=0.05)


def test_a_box_in_the_whole_slice_is_a_part_of_that_slice(make_volume, make_view, ijk_to_ras) -> None:
    shape = (24, 25, 26)
    node = make_volume(ramp(shape), ijk_to_ras)
    view = make_view(node)
    whole = capture(view, "published", "CT")
    middle = affine(np.eye(3), (6.0, 5.0, 8.0), nibabel.affines.apply_affine(ijk_to_ras, (12, 12, 13)))
    part = capture(view, "published", "CT", box_to_world=middle)
    to_whole = np.linalg.inv(from_wire(whole.geometry.pixel_to_ras))
    first = to_whole @ from_wire(part.geometry.pixel_to_ras) @ (0, 0, 0, 1)
    column, row = np.rint(first[:2]).astype(int)
    np.testing.assert_allclose(first, (column, row, 0, 1), atol=1e-6)
    rows, columns = pixels(part).shape
    np.testing.assert_array_equal(pixels(part), pixels(whole)[row : row + rows, column : column + columns])
    assert (part.geometry.rows, part.geometry.columns) == (rows, columns)
    assert 0 < rows * columns < pixels(whole).size / 2


def test_a_part_of_the_whole_slice_is_cut_out_in_the_world(
    make_volume, make_view, put_under_transform
) -> None:
    node = make_volume(ramp(), CENTRED)
    moved = np.eye(4)
    moved[:3, 3] = (8, -5, 1)
    put_under_transform(node, moved)
    part = capture(make_view(node), "published", "CT", box_to_world=BOX)
    world = nibabel.affines.apply_affine(moved, places(part.geometry))
    assert np.abs(world[..., 0]).max() <= 6
    assert np.abs(world[..., 1]).max() <= 4
    assert world.shape[:2] == (9, 13)


def test_a_tilted_box_has_the_rectangle_around_its_cut() -> None:
    tilted = affine(rotation(0, 0, 45), (10.0, 10.0, 10.0), (0.0, 0.0, 0.0))
    half = 5 * np.sqrt(2)
    np.testing.assert_allclose(rectangle_of(tilted, np.eye(4)), (-half, half, -half, half))


def test_a_box_beside_the_slice_is_told(make_volume, make_view) -> None:
    view = make_view(make_volume(ramp(), CENTRED))
    above = BOX.copy()
    above[2, 3] = 14
    for mode in ("as_seen", "published"):
        with pytest.raises(SceneError, match="does not reach the slice"):
            capture(view, mode, "CT", box_to_world=above)
    aside = BOX.copy()
    aside[0, 3] = 90
    with pytest.raises(SceneError, match="outside the scan"):
        capture(view, "published", "CT", box_to_world=aside)


@pytest.mark.parametrize("mode", ["as_seen", "published"])
def test_sequences_are_seen_at_one_place_each_in_its_own_window(make_volume, make_view, mode) -> None:
    first = make_volume(ramp(), CENTRED, "t1")
    other = make_volume((ramp() * 3).astype(np.int16), CENTRED, "t2")
    for node, window in ((first, 400), (other, 1200)):
        node.GetDisplayNode().SetAutoWindowLevel(0)
        node.GetDisplayNode().SetWindowLevel(window, window / 2)
    one, two = capture_all(make_view(first), [first, other], first, mode, "MRI")
    assert one.geometry.pixel_to_ras == two.geometry.pixel_to_ras
    assert np.abs(pixels(one).astype(int) - pixels(two)).max() <= 1
    assert np.ptp(pixels(one)) > 100


def test_a_sequence_registered_by_a_transform_is_seen_in_its_place(
    make_volume, make_view, put_under_transform
) -> None:
    """The other sequence is stored 6 mm aside and brought back by a transform, as after a registration."""
    first = make_volume(ramp(), CENTRED, "t1")
    aside = CENTRED.copy()
    aside[0, 3] += 6
    back = np.eye(4)
    back[0, 3] = -6
    other = make_volume(ramp(), aside, "t2")
    put_under_transform(other, back)
    one, two = capture_all(make_view(first), [first, other], first, "published", "MRI")
    np.testing.assert_array_equal(pixels(one), pixels(two))
    np.testing.assert_allclose(one.geometry.pixel_to_ras, two.geometry.pixel_to_ras, atol=1e-9)


def test_a_registered_sequence_is_sent_in_the_frame_of_the_first(
    make_volume, put_under_transform, oblique
) -> None:
    from VILAM3SlicerLib.scene.volumes import read_volume

    first = make_volume(ramp((5, 6, 7)), STORED_AS["LPS"], "t1")
    other = make_volume(ramp((5, 6, 7)), oblique, "t2")
    to_world, of_first = affine(rotation(3, 4, 5), (1, 1, 1), (7, 8, 9)), np.diag([1.0, 1, 1, 1])
    of_first[:3, 3] = (2, 0, -4)
    put_under_transform(other, to_world)
    put_under_transform(first, of_first)
    sent = from_wire(read_volume(other, first).ijk_to_ras)
    np.testing.assert_allclose(of_first @ sent, to_world @ oblique, atol=1e-9)
    assert read_volume(first, first).ijk_to_ras == read_volume(first).ijk_to_ras
