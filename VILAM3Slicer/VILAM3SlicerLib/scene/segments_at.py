"""Which segment a place lies in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from VILAM3SlicerLib.scene.arrays import image_array
from VILAM3SlicerLib.scene.geometry import image_to_ras, invert, transform_point, world_to_ras
from VILAM3SlicerLib.scene.segmentation import LABELMAP, segment_ids, segment_of


def segment_at(segmentation_node: Any, world: Sequence[float]) -> str | None:
    """The name of the smallest segment at a place, None where there is none.

    Args:
        world: RAS in mm, after parent transforms.

    Raises:
        UnsupportedVolume: a parent transform of the segmentation is not linear.
    """
    ras = transform_point(world_to_ras(segmentation_node), world)
    segments = [segment_of(segmentation_node, one) for one in segment_ids(segmentation_node)]
    here = [segment for segment in segments if _covers(segment, ras)]
    return min(here, key=_voxels).GetName() if here else None


def _covers(segment: Any, ras: Sequence[float]) -> bool:
    image = segment.GetRepresentation(LABELMAP)
    if image is None or 0 in image.GetDimensions():
        return False
    voxel = np.rint(transform_point(invert(image_to_ras(image)), ras)).astype(int)
    i, j, k = voxel - np.array(image.GetExtent()[::2])
    columns, rows, slices = image.GetDimensions()
    if not (0 <= i < columns and 0 <= j < rows and 0 <= k < slices):
        return False
    return bool(image_array(image)[k, j, i] == segment.GetLabelValue())


def _voxels(segment: Any) -> int:
    return int(np.count_nonzero(image_array(segment.GetRepresentation(LABELMAP)) == segment.GetLabelValue()))
