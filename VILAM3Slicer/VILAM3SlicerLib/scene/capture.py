"""Pictures of a scan for the model, made from its voxels: nothing of the screen is burnt in.

Two modes (``protocol.messages.ViewMode``): ``as_seen`` reslices the volume at the view's plane, field of
view and window; ``published`` takes the whole axial slice as the released checkpoints were trained with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkIOImage import vtkPNGWriter

from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.protocol.messages import ViewGeometry, ViewMode
from VILAM3SlicerLib.protocol.phrases import phrases
from VILAM3SlicerLib.scene.arrays import as_vtk
from VILAM3SlicerLib.scene.as_seen import part_of_view, see, whole_view
from VILAM3SlicerLib.scene.geometry import (
    Affine,
    plane_name,
    ras_to_world,
    to_frame_of,
    to_wire,
    transform_point,
    world_to_ras,
)
from VILAM3SlicerLib.scene.picture import Picture
from VILAM3SlicerLib.scene.published import publish
from VILAM3SlicerLib.scene.region import cut_out, rectangle_of
from VILAM3SlicerLib.scene.views import SliceView
from VILAM3SlicerLib.scene.volumes import check_volume

_ = phrases(__name__)


@dataclass(frozen=True)
class CapturedView:
    """A picture as PNG bytes (8-bit grey), where its pixels lie, and the name of the volume node in it."""

    png: bytes
    geometry: ViewGeometry
    name: str = ""


def capture(
    view: SliceView,
    mode: ViewMode,
    modality: str,
    volume: str | None = None,
    box_to_world: Affine | None = None,
) -> CapturedView:
    """What a slice view shows of its background volume.

    Args:
        view: the slice view.
        mode: ``as_seen`` or ``published``.
        modality: CT, MRI, ...; chooses the window of ``published``.
        volume: the volume's content hash, to be told with the picture.
        box_to_world: a box that the picture shall show and nothing else, see ``region.rectangle_of``.

    Raises:
        SceneError: the view shows no volume or has no size, or the box lies beside the slice.
        UnsupportedVolume: see ``volumes.check_volume``.
    """
    node = view.background
    if node is None:
        raise SceneError(
            _("The view {name} shows no scan.").format(name=view.name),
            _("Load a scan or show one in this view."),
        )
    check_volume(node)
    picture = _picture(view, node, mode, modality, box_to_world)
    return _captured(picture, node, mode, volume)


def capture_all(
    view: SliceView,
    nodes: Sequence[Any],
    frame_node: Any,
    mode: ViewMode,
    modality: str,
    *,
    box_to_world: Affine | None = None,
) -> list[CapturedView]:
    """The same place in several volumes, as ``capture``: each in its own window.

    Args:
        frame_node: the volume in whose RAS frame it is told where they lie, as their voxels are (see
            ``volumes.read_volume``).
    """
    views = []
    for node in nodes:
        check_volume(node)
        picture = _picture(view, node, mode, modality, box_to_world)
        in_frame = to_frame_of(frame_node, node) @ picture.pixel_to_ras
        picture = replace(picture, pixel_to_ras=in_frame)
        views.append(_captured(picture, node, mode))
    return views


def capture_slice(node: Any, frame_node: Any, world: Sequence[float], modality: str) -> CapturedView:
    """The whole axial slice through a place, in the published window; no view is needed.

    Args:
        frame_node: the volume in whose RAS frame it is told where the slice lies.
        world: world RAS in mm; the nearest slice where it lies outside.

    Raises:
        UnsupportedVolume: see ``volumes.check_volume``.
    """
    check_volume(node)
    picture = publish(node, transform_point(world_to_ras(node), world), modality)
    if node is not frame_node:
        picture = replace(picture, pixel_to_ras=to_frame_of(frame_node, node) @ picture.pixel_to_ras)
    return _captured(picture, node, "published")


def _picture(
    view: SliceView, node: Any, mode: ViewMode, modality: str, box_to_world: Affine | None
) -> Picture:
    if mode == "published":
        whole = publish(node, _centre(view, node), modality)
        if box_to_world is None:
            return whole
        return cut_out(whole, rectangle_of(box_to_world, ras_to_world(node) @ whole.pixel_to_ras))
    frame = whole_view(view)
    if box_to_world is not None:
        frame = part_of_view(rectangle_of(box_to_world, view.xy_to_world))
    return see(view, node, frame)


def _centre(view: SliceView, node: Any) -> tuple[float, float, float]:
    """The middle of the view, RAS in mm in the volume's own frame."""
    columns, rows = view.size
    world = transform_point(view.xy_to_world, ((columns - 1) / 2, (rows - 1) / 2, 0.0))
    return transform_point(world_to_ras(node), world)


def _captured(picture: Picture, node: Any, mode: ViewMode, volume: str | None = None) -> CapturedView:
    return CapturedView(png_bytes(picture.pixels), _geometry(picture, mode, volume), node.GetName())


def _geometry(picture: Picture, mode: ViewMode, volume: str | None) -> ViewGeometry:
    rows, columns = picture.pixels.shape
    return ViewGeometry(
        mode=mode,
        plane=plane_name(picture.pixel_to_ras),
        columns=columns,
        rows=rows,
        pixel_to_ras=to_wire(picture.pixel_to_ras),
        window=picture.window,
        level=picture.level,
        volume=volume,
    )


def png_bytes(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Grey pixels, shape (rows from the top, columns), as a PNG written in memory."""
    upwards = np.ascontiguousarray(pixels[::-1])
    image = vtkImageData()
    image.SetDimensions(pixels.shape[1], pixels.shape[0], 1)
    image.GetPointData().SetScalars(as_vtk(upwards.ravel()))
    return png_of(image)


def png_of(image: Any) -> bytes:
    """A ``vtkImageData`` of one slice, rows from the bottom, grey or RGB, as a PNG written in memory."""
    writer = vtkPNGWriter()
    writer.SetWriteToMemory(1)
    writer.SetInputData(image)
    writer.Write()
    return bytes(memoryview(writer.GetResult()))
