"""Heat maps in a real Slicer Core: in their place, drawn, and gone again."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.protocol.events import HeatMap
from VILAM3SlicerLib.scene.heat_map import HeatMapOverlay
from VILAM3SlicerLib.scene.volumes import HEAT_MAP, volume_nodes

SHOWN = np.diag([-1.0, -1.0, 1.0, 1.0])
"""How a radiograph without geometry is loaded."""

STRONGEST = (5, 2)
"""Column and row of the map's strongest pixel."""


@pytest.fixture
def heat() -> HeatMap:
    """8 x 8 pixels of 10 mm over an image of 80 x 80."""
    matrix = SHOWN @ np.array([[10, 0, 0, 4.5], [0, 10, 0, 4.5], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    return HeatMap("effusion", "ab" * 32, 8, 8, tuple(matrix.ravel()), "densenet")


@pytest.fixture
def overlay(scene, app_logic) -> HeatMapOverlay:
    return HeatMapOverlay(scene, app_logic)


def png(size: int = 8) -> bytes:
    pixels = np.zeros((size, size), np.uint8)
    pixels[STRONGEST[1], STRONGEST[0]] = 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def scan(make_volume):
    return make_volume(np.random.default_rng(2).integers(0, 99, (80, 80, 1)).astype(np.int16), SHOWN)


def drawn(view) -> np.ndarray:
    """The slice as the view blends it; shape (rows from the top, columns, RGBA)."""
    from VILAM3SlicerLib.scene.arrays import as_numpy

    blend = view.logic.GetBlend()
    blend.Update()
    image = blend.GetOutput()
    columns, rows, _ = image.GetDimensions()
    return as_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)[::-1].astype(int)


def test_the_strongest_place_is_coloured_and_the_rest_left_alone(scan, make_view, overlay, heat):
    view = make_view(scan, size=(80, 80))
    before = drawn(view)
    overlay.show(scan, heat, png())
    colour = drawn(view)[..., 0] - drawn(view)[..., 2]
    assert colour.max() > 60
    row, column = (round(float((colour * places).sum() / colour.sum())) for places in np.mgrid[:80, :80])
    right, anterior, *_ = view.xy_to_world @ (column, 79 - row, 0, 1)
    strongest = np.array(heat.pixel_to_ras).reshape(4, 4) @ (*STRONGEST, 0, 1)
    assert np.hypot(right - strongest[0], anterior - strongest[1]) < 2
    away = np.ones((80, 80), bool)
    away[max(row - 25, 0) : row + 25, max(column - 25, 0) : column + 25] = False
    assert (colour[away] == 0).all()
    overlay.hide()
    np.testing.assert_array_equal(drawn(view), before)


def test_what_was_in_the_foreground_comes_back_and_nothing_is_left(
    scan, make_volume, make_view, overlay, heat
):
    view, scene = make_view(scan), scan.GetScene()
    other = make_volume(np.ones((4, 4, 4), np.int16), np.eye(4), "other")
    composite = view.logic.GetSliceCompositeNode()
    composite.SetForegroundVolumeID(other.GetID())
    composite.SetForegroundOpacity(0.25)
    nodes = scene.GetNumberOfNodes()
    overlay.show(scan, heat, png())
    overlay.show(scan, heat, png())
    assert overlay.shown == heat
    assert [node.GetName() for node in volume_nodes(scene)] == ["scan", "other"]
    overlay.hide()
    assert overlay.shown is None
    assert scene.GetNumberOfNodes() == nodes
    assert (composite.GetForegroundVolumeID(), composite.GetForegroundOpacity()) == (other.GetID(), 0.25)


def test_it_is_not_saved_and_goes_where_the_scan_goes(scan, make_view, overlay, heat, put_under_transform):
    make_view(scan)
    scene = scan.GetScene()
    transform = put_under_transform(scan, np.diag([1.0, 1.0, -1.0, 1.0]))
    overlay.show(scan, heat, png())
    ours = [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]
    ours = [node for node in ours if node.GetAttribute(HEAT_MAP)]
    assert len(ours) == 3
    assert not any(node.GetSaveWithScene() for node in ours)
    assert transform.GetID() in [node.GetTransformNodeID() for node in ours if node.IsA("vtkMRMLVolumeNode")]


def test_another_picture_is_refused(scan, make_view, overlay, heat):
    make_view(scan)
    scene = scan.GetScene()
    nodes = scene.GetNumberOfNodes()
    with pytest.raises(SceneError, match="effusion"):
        overlay.show(scan, heat, png(9))
    assert (overlay.shown, scene.GetNumberOfNodes()) == (None, nodes)
