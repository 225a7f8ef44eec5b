"""Bringing the views to a place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.protocol.events import Point
from VILAM3SlicerLib.protocol.phrases import phrases
from VILAM3SlicerLib.scene.arrays import image_array
from VILAM3SlicerLib.scene.geometry import image_to_ras, invert, ras_to_world, transform_point
from VILAM3SlicerLib.scene.segmentation import LABELMAP, segment_of
from VILAM3SlicerLib.scene.views import SliceView, slice_views

_ = phrases(__name__)


def go_to_point(app_logic: Any, node: Any, ras: Sequence[float], camera: Any = None) -> Point:
    """Show a point in all slice views, moving a view sideways only where the point is not in its picture.

    Args:
        app_logic: the application logic.
        node: the node in whose own frame the point is given; its parent transform is applied.
        ras: RAS in mm.
        camera: a ``vtkMRMLCameraNode`` that shall look at the point from where it looks now; None for none.

    Returns:
        The point in the world.

    Raises:
        UnsupportedVolume: a parent transform of the node is not linear.
    """
    world = transform_point(ras_to_world(node), ras)
    for view in slice_views(app_logic):
        if _is_in_picture(view, world):
            view.node.JumpSliceByOffsetting(*world)
        else:
            view.node.JumpSliceByCentering(*world)
    if camera is not None:
        _look_at(camera, world)
    return world


def go_to_segment(app_logic: Any, segmentation_node: Any, segment_id: str, camera: Any = None) -> Point:
    """Show the middle of a segment, a point that lies inside it; as ``go_to_point``.

    Raises:
        SceneError: there is no such segment, or it is empty.
    """
    ras = point_inside(segment_of(segmentation_node, segment_id))
    return go_to_point(app_logic, segmentation_node, ras, camera)


def point_inside(segment: Any) -> Point:
    """The voxel centre of a segment that is closest to its middle in its fullest slice, RAS in mm.

    Raises:
        SceneError: the segment has no voxels.
    """
    image = segment.GetRepresentation(LABELMAP)
    labels, value = image_array(image), segment.GetLabelValue()
    sizes = [np.count_nonzero(piece == value) for piece in labels]
    fullest = int(np.argmax(sizes)) if sizes else 0
    if not sizes or sizes[fullest] == 0:
        raise SceneError(_("The segment '{name}' is empty.").format(name=segment.GetName()))
    voxels = np.argwhere(labels[fullest] == value)
    row, column = voxels[np.argmin(((voxels - voxels.mean(axis=0)) ** 2).sum(axis=1))]
    first_i, _last, first_j, _last, first_k, _last = image.GetExtent()
    return transform_point(image_to_ras(image), (column + first_i, row + first_j, fullest + first_k))


def _is_in_picture(view: SliceView, world: Point) -> bool:
    x, y, _depth = transform_point(invert(view.xy_to_world), world)
    columns, rows = view.size
    return 0 <= x < columns and 0 <= y < rows


def _look_at(camera: Any, world: Point) -> None:
    shift = np.array(world) - np.array(camera.GetFocalPoint())
    camera.SetPosition(*(np.array(camera.GetPosition()) + shift))
    camera.SetFocalPoint(*world)
    camera.ResetClippingRange()
