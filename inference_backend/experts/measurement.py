"""How large the segments of a result are and where to look for them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from inference_backend.experts.interface import Segment, Segmentation
from inference_backend.imaging.volume import Volume
from VILAM3SlicerLib.protocol.events import Point, SegmentInfo


def measure(segmentation: Segmentation) -> tuple[SegmentInfo, ...]:
    """Size and a point inside of each segment, in the order of the result."""
    counts = _counts_by_slice(segmentation.labelmap)
    return tuple(_measure(segment, segmentation.labelmap, counts) for segment in segmentation.segments)


def _counts_by_slice(labelmap: Volume) -> npt.NDArray[np.int64]:
    """Voxels of each label value in each slice along K, shape (K, highest label + 1)."""
    voxels = labelmap.voxels
    bins = int(voxels.max()) + 1
    return np.stack(
        [np.bincount(voxels[:, :, k].ravel(order="K"), minlength=bins) for k in range(voxels.shape[2])]
    )


def _measure(segment: Segment, labelmap: Volume, counts: npt.NDArray[np.int64]) -> SegmentInfo:
    present = [value for value in segment.label_values if value < counts.shape[1]]
    by_slice = counts[:, present].sum(1)
    total = int(by_slice.sum())
    return SegmentInfo(
        name=segment.name,
        label_values=segment.label_values,
        terminology=segment.terminology,
        voxel_count=total,
        volume_ml=total * labelmap.voxel_ml,
        center=_deepest_point(labelmap, present, int(by_slice.argmax())) if total else None,
    )


def _deepest_point(labelmap: Volume, values: list[int], k: int) -> Point:
    """The point farthest from the outline in slice ``k``: always inside, also of a ring or a horseshoe."""
    mask = np.pad(np.isin(labelmap.voxels[:, :, k], values), 1)
    depth = ndimage.distance_transform_edt(mask, sampling=labelmap.spacing[:2])
    i, j = np.unravel_index(depth.argmax(), depth.shape)
    right, anterior, superior, _ = labelmap.ijk_to_ras @ (float(i) - 1, float(j) - 1, float(k), 1.0)
    return float(right), float(anterior), float(superior)
