"""The slice on the screen, or a part of it, resliced from the volume's data."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt
from vtkmodules.vtkImagingCore import vtkImageReslice
from vtkmodules.vtkImagingStencil import vtkImageStencilToImage

from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.protocol.phrases import phrases
from VILAM3SlicerLib.scene.arrays import Array, as_numpy
from VILAM3SlicerLib.scene.geometry import Affine, ijk_to_ras, invert, to_vtk, world_to_ras
from VILAM3SlicerLib.scene.picture import Picture, apply_window
from VILAM3SlicerLib.scene.region import Rectangle
from VILAM3SlicerLib.scene.views import SliceView

_ = phrases(__name__)

Mask = npt.NDArray[np.bool_]

REGION_PIXELS = 384
"""A part of the view gets so many pixels along its longer side at least: what the published models read."""

MOST_PIXELS = 2048
"""And no more than these, however close the view is."""


@dataclass(frozen=True)
class Frame:
    """Where pixels lie on a view's screen: the first one at ``x`` and ``y``, from the BOTTOM left, then each
    ``step`` screen pixels on."""

    x: float
    y: float
    step: float
    columns: int
    rows: int

    @property
    def to_xy(self) -> Affine:
        """4x4, pixel (column, row from the BOTTOM, 0, 1) to the screen."""
        matrix = np.diag([self.step, self.step, 1.0, 1.0])
        matrix[:2, 3] = self.x, self.y
        return matrix


def whole_view(view: SliceView) -> Frame:
    """All of the screen.

    Raises:
        SceneError: the view has no size yet.
    """
    if min(view.size) < 1:
        raise SceneError(
            _("The view {name} has no size yet.").format(name=view.name), _("Show the view and ask again.")
        )
    return Frame(0.0, 0.0, 1.0, *view.size)


def part_of_view(rectangle: Rectangle) -> Frame:
    """A rectangle of the screen, in pixels as fine as the model's where the screen's are coarser."""
    left, right, bottom, top = rectangle
    longer = max(right - left, top - bottom)
    pixels = min(max(longer + 1, REGION_PIXELS), MOST_PIXELS)
    step = max(longer, 1e-3) / (pixels - 1)
    return Frame(left, bottom, step, round((right - left) / step) + 1, round((top - bottom) / step) + 1)


def see(view: SliceView, node: Any, frame: Frame) -> Picture:
    """A volume in the view's plane, with its slab and interpolation; black outside the volume.

    The window is that of the volume, the matrix of the picture leads to the volume's own frame. The volume
    must have passed ``volumes.check_volume``.
    """
    to_ras = world_to_ras(node) @ view.xy_to_world @ frame.to_xy
    values, inside = _reslice(view, node, frame, invert(ijk_to_ras(node)) @ to_ras)
    display = node.GetDisplayNode()
    window, level = _window_level(node)
    grey = _tones(display)[apply_window(values, window, level)]
    pixels = np.where(inside, grey, np.uint8(0))[::-1]
    return Picture(pixels, _from_the_top(to_ras, frame.rows), window, level)


def _reslice(view: SliceView, node: Any, frame: Frame, to_ijk: Affine) -> tuple[Array, Mask]:
    """Voxel values at the pixels, whether they lie in the volume; (rows from the BOTTOM, columns)."""
    columns, rows = frame.columns, frame.rows
    shown = view.logic.GetBackgroundLayer().GetReslice()
    reslice = vtkImageReslice()
    reslice.SetInputData(node.GetImageData())
    reslice.SetResliceAxes(to_vtk(to_ijk))
    reslice.SetOutputOrigin(0, 0, 0)
    reslice.SetOutputSpacing(1, 1, 1)
    reslice.SetOutputExtent(0, columns - 1, 0, rows - 1, 0, 0)
    reslice.SetInterpolationMode(shown.GetInterpolationMode())
    reslice.SetSlabMode(shown.GetSlabMode())
    reslice.SetSlabNumberOfSlices(shown.GetSlabNumberOfSlices())
    reslice.SetSlabSliceSpacingFraction(shown.GetSlabSliceSpacingFraction())
    reslice.GenerateStencilOutputOn()
    reslice.Update()
    values = as_numpy(reslice.GetOutput().GetPointData().GetScalars()).reshape(rows, columns)
    return values, _stencil_mask(reslice.GetStencilOutput(), columns, rows)


def _stencil_mask(stencil: Any, columns: int, rows: int) -> Mask:
    convert = vtkImageStencilToImage()
    convert.SetInputData(stencil)
    convert.Update()
    inside: Mask = as_numpy(convert.GetOutput().GetPointData().GetScalars()).reshape(rows, columns) > 0
    return inside


def _window_level(node: Any) -> tuple[float, float]:
    """The window on the screen; the range of all finite values where the node was never displayed, or where
    an infinite value has made Slicer's window infinite."""
    display = node.GetDisplayNode()
    if display is not None and display.IsA("vtkMRMLScalarVolumeDisplayNode"):
        window, level = float(display.GetWindow()), float(display.GetLevel())
        if isfinite(window) and isfinite(level):
            return window, level
    low, high = node.GetImageData().GetPointData().GetScalars().GetFiniteRange()
    return (high - low, (low + high) / 2) if low <= high else (0.0, 0.0)


def _tones(display: Any) -> npt.NDArray[np.uint8]:
    """The 256 grey tones of the display's colour table, which inverts many X-rays.

    A table in colour is left out: its colours are decoration that the model was not trained with.
    """
    plain = np.arange(256, dtype=np.uint8)
    colors = display.GetColorNode() if display is not None else None
    table = colors.GetLookupTable() if colors is not None else None
    if table is None or table.GetNumberOfTableValues() != 256:
        return plain
    tones = as_numpy(table.GetTable())[:, :3]
    is_grey = np.array_equal(tones.min(axis=1), tones.max(axis=1))
    return tones[:, 0].copy() if is_grey else plain


def _from_the_top(to_ras: Affine, rows: int) -> Affine:
    """Screen rows count from the bottom, image rows from the top."""
    flip = np.diag([1.0, -1.0, 1.0, 1.0])
    flip[1, 3] = rows - 1
    matrix: Affine = to_ras @ flip
    return matrix
