"""What the views draw: the overlay where the labels lie, and nothing left of it after undo."""

from __future__ import annotations

import sys
from ctypes.util import find_library

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion

from VILAM3SlicerLib.protocol.events import SegmentInfo
from VILAM3SlicerLib.protocol.nrrd import NrrdVolume
from VILAM3SlicerLib.scene.arrays import as_numpy
from VILAM3SlicerLib.scene.geometry import ijk_to_ras as node_ijk_to_ras
from VILAM3SlicerLib.scene.geometry import to_wire
from VILAM3SlicerLib.scene.navigation import go_to_point
from VILAM3SlicerLib.scene.result_segments import ResultSegments
from VILAM3SlicerLib.scene.segment_origin import Origin
from VILAM3SlicerLib.scene.segmentation import find_segmentation, segment_of, set_visible
from VILAM3SlicerLib.scene.terminology import SlicerTerminology

SHAPE = (38, 46, 30)
SIZE = (300, 300)

pytestmark = pytest.mark.skipif(
    sys.platform == "linux" and find_library("EGL") is None, reason="drawing needs libEGL"
)


@pytest.fixture
def app():
    """An application of its own: a view does not draw a slice node that outlived another view's logic."""
    from trame_slicer.core import SlicerApp

    return SlicerApp()


@pytest.fixture
def red(app, scene, app_logic):
    """A view that draws when told to, into memory."""
    from trame_slicer.views import DirectViewFactory, ViewLayoutDefinition
    from trame_slicer.views.render_scheduler import NoScheduleRendering

    app.view_manager.register_factory(DirectViewFactory(do_render_offscreen=True))
    view = app.view_manager.create_view(ViewLayoutDefinition.axial_view())
    view.set_scheduled_render(NoScheduleRendering())
    view.render_window().SetMultiSamples(0)
    view.render_window().SetSize(*SIZE)
    return view


def draw(view) -> np.ndarray:
    """The screen as (rows from the bottom, columns, RGB)."""
    import slicer
    from vtkmodules.vtkCommonDataModel import vtkImageData

    view.render()
    image = vtkImageData()
    slicer.vtkMRMLLayerDisplayableManager.RenderWindowBufferToImage(view.render_window(), image)
    columns, rows, _ = image.GetDimensions()
    return as_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)[..., :3].astype(int)


def test_overlay_is_drawn_on_its_voxels_and_goes_with_undo(red, scene, app_logic, make_volume, ijk_to_ras):
    scan = make_volume(np.random.default_rng(0).integers(0, 50, SHAPE).astype(np.int16), ijk_to_ras)
    labels = np.zeros(SHAPE, np.uint8)
    labels[4:14, 30:42, 8:22] = 1
    red.set_background_volume_id(scan.GetID())
    red.fit_view_to_content()
    centre = (node_ijk_to_ras(scan) @ [9, 36, 15, 1])[:3]
    go_to_point(app_logic, scan, centre)
    plain = draw(red)
    results = ResultSegments(scene, SlicerTerminology(app_logic))
    labelmap = NrrdVolume("uint8", SHAPE, to_wire(node_ijk_to_ras(scan)), labels.tobytes("F"))
    segments = (SegmentInfo("liver", (1,), "liver", 0, 0.0, None),)
    ids = results.add(scan, labelmap, segments, Origin("turn-1", "TEST", "1"))
    node = find_segmentation(scene, scan)
    segment_of(node, ids["liver"]).SetColor(1.0, 0.0, 0.0)
    drawn = draw(red)
    assert plain.max() > 200
    expected = labels[tuple(pixel_voxels(red, scan, plain.shape))] == 1
    changed = np.abs(drawn - plain).sum(axis=2) > 20
    assert expected.sum() > 500
    certain = binary_erosion(expected, iterations=3) | ~binary_dilation(expected, iterations=3)
    assert certain.mean() > 0.9  # the outline and the corners of voxels make up the rest
    assert (changed == expected)[certain].mean() > 0.999
    assert (drawn - plain)[expected][:, 0].mean() > 20
    set_visible(node, ids["liver"], False)
    np.testing.assert_array_equal(draw(red), plain)
    set_visible(node, ids["liver"], True)
    results.remove_turn(scan, "turn-1")
    np.testing.assert_array_equal(draw(red), plain)


def pixel_voxels(view, scan, shape) -> np.ndarray:
    """I, J, K of the voxel under each pixel, wrapped where there is none (the corner voxel has no label)."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    pixels = np.stack([columns, rows, 0 * rows, 0 * rows + 1]).astype(float)
    xy_to_ras = view.get_view_node().GetXYToRAS()
    matrix = np.array([[xy_to_ras.GetElement(row, column) for column in range(4)] for row in range(4)])
    indices = np.tensordot(np.linalg.inv(node_ijk_to_ras(scan)) @ matrix, pixels, axes=1)[:3]
    voxels = np.rint(indices).astype(int)
    inside = np.all((voxels >= 0) & (voxels < np.reshape(SHAPE, (3, 1, 1))), axis=0)
    return np.where(inside, voxels, 0)
