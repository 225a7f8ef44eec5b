"""Scans of one slice, such as radiographs: across which patient axis it lies, and which view shows it."""

from __future__ import annotations

from typing import Any

from VILAM3SlicerLib.scene.geometry import closest_ras_axes, ijk_to_ras

_VIEWS = ("Yellow", "Green", "Red")
"""Slicer's sagittal, coronal and axial view, which look along R, A and S."""

SUPERIOR = 2


def is_flat(node: Any) -> bool:
    """Whether a volume node has one slice only."""
    return list(node.GetImageData().GetDimensions()).count(1) == 1


def slice_axis(node: Any) -> int:
    """The patient axis (0 R, 1 A, 2 S) across the only slice of a volume node; S for one with several."""
    lengths = node.GetImageData().GetDimensions()
    if not is_flat(node):
        return SUPERIOR
    voxel_axes = [voxel_axis for voxel_axis, _ in closest_ras_axes(ijk_to_ras(node))]
    return voxel_axes.index(lengths.index(1))


def view_of(node: Any) -> str:
    """The slice view that shows a scan of one slice from the front; the axial one for any other."""
    return _VIEWS[slice_axis(node)]
