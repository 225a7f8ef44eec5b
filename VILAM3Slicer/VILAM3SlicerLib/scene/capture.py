"""Pictures of a scan for the model, made from its voxels: nothing of the screen is burnt in.

Two modes (``protocol.messages.ViewMode``): ``as_seen`` reslices the volume at the view's plane, field of
view and window; ``published`` takes the whole axial slice as the released checkpoints were trained with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkIOImage import vtkPNGWriter

from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.protocol.messages import ViewGeometry, ViewMode
from VILAM3SlicerLib.scene.arrays import as_vtk
from VILAM3SlicerLib.scene.as_seen import see
from VILAM3SlicerLib.scene.geometry import plane_name, to_wire, transform_point, world_to_ras
from VILAM3SlicerLib.scene.picture import Picture
from VILAM3SlicerLib.scene.published import publish
from VILAM3SlicerLib.scene.views import SliceView
from VILAM3SlicerLib.scene.volumes import check_volume


@dataclass(frozen=True)
class CapturedView:
    """A picture as PNG bytes (8-bit grey) and where its pixels lie."""

    png: bytes
    geometry: ViewGeometry


def capture(view: SliceView, mode: ViewMode, modality: str, volume: str | None = None) -> CapturedView:
    """What a slice view shows of its background volume.

    Args:
        view: the slice view.
        mode: ``as_seen`` or ``published``.
        modality: CT, MRI, ...; chooses the window of ``published``.
        volume: the volume's content hash, to be told with the picture.

    Raises:
        SceneError: the view shows no volume or has no size.
        UnsupportedVolume: see ``volumes.check_volume``.
    """
    node = view.background
    if node is None:
        raise SceneError(f"The view {view.name} shows no scan.", "Load a scan or show one in this view.")
    check_volume(node)
    picture = see(view) if mode == "as_seen" else publish(node, _centre(view, node), modality)
    return CapturedView(png_bytes(picture.pixels), _geometry(picture, mode, volume))


def _centre(view: SliceView, node: Any) -> tuple[float, float, float]:
    """The middle of the view, RAS in mm in the volume's own frame."""
    columns, rows = view.size
    world = transform_point(view.xy_to_world, ((columns - 1) / 2, (rows - 1) / 2, 0.0))
    return transform_point(world_to_ras(node), world)


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
    writer = vtkPNGWriter()
    writer.SetWriteToMemory(1)
    writer.SetInputData(image)
    writer.Write()
    return bytes(memoryview(writer.GetResult()))
