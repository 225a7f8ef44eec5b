"""Layers of the body that would hide all else in 3D, such as its skin: faint as long as they hide something.

What was set is noted in the segment's tags, so that a person's own choice is known from ours and left alone,
after saving and loading too. In the slices nothing is changed.
"""

from __future__ import annotations

from math import nan
from typing import Any

from VILAM3SlicerLib.scene.segment_origin import OPACITY_3D, read_origin, read_tag
from VILAM3SlicerLib.scene.segmentation import segment_ids, segment_of

FAINT, SOLID = 0.15, 1.0
"""Opacities in 3D: what lies within is seen clearly through three faint layers."""

_LAYERS = (
    ("body", "body trunk", "body trunc", "trunk", "torso"),
    ("skin",),
    ("subcutaneous fat", "subcutaneous adipose tissue", "torso fat"),
    ("muscle", "muscles", "skeletal muscle"),
)
"""Names from the outermost layer inwards; anything else lies within all of them."""

_INSIDE = len(_LAYERS)
_TOLERANCE = 1e-3


def soften_envelopes(segmentation_node: Any) -> None:
    """Make layers faint around other segments, and solid again where there are none any more."""
    display = segmentation_node.GetDisplayNode()
    segments = {one: segment_of(segmentation_node, one) for one in segment_ids(segmentation_node)}
    depths = {one: _depth(segment.GetName()) for one, segment in segments.items()}
    for segment_id, depth in depths.items():
        segment = segments[segment_id]
        if depth == _INSIDE or read_origin(segment) is None:
            continue
        ours = _noted(segment)
        wanted = FAINT if any(other > depth for other in depths.values()) else SOLID
        is_untouched = abs(display.GetSegmentOpacity3D(segment_id) - ours) < _TOLERANCE
        if is_untouched and wanted != ours:
            display.SetSegmentOpacity3D(segment_id, wanted)
            segment.SetTag(OPACITY_3D, str(wanted))


def _noted(segment: Any) -> float:
    """What was set last; a note that somebody changed is nothing that was ever set."""
    try:
        return float(read_tag(segment, OPACITY_3D) or SOLID)
    except ValueError:
        return nan


def _depth(name: str) -> int:
    plain = name.strip().lower().replace("_", " ")
    return next((depth for depth, names in enumerate(_LAYERS) if plain in names), _INSIDE)
