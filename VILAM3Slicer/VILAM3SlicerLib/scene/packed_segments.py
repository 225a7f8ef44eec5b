"""Segments taken out of a segmentation, as a small JSON value that can be put back: for undo."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer

from VILAM3SlicerLib.scene.arrays import image_array
from VILAM3SlicerLib.scene.expert_groups import follower
from VILAM3SlicerLib.scene.layers import empty_layer
from VILAM3SlicerLib.scene.segment_origin import OPACITY_3D, TAGS, read_tag
from VILAM3SlicerLib.scene.segmentation import LABELMAP, insert_segment, is_visible, segment_of
from VILAM3SlicerLib.scene.steps import Steps

Packed = dict[str, Any]
"""``layers``: type, extent and compressed voxels; ``segments``: which layer, label, looks and tags."""

_SLICES_A_STEP = 8
_KEPT_TAGS = (slicer.vtkSegment.GetTerminologyEntryTagName(), *TAGS)


def pack_in_steps(segmentation_node: Any, ids: Sequence[str]) -> Steps[Packed]:
    """Segments as a value that can be dumped as JSON: a hundredth of their size in memory, about."""
    labels_of: dict[Any, list[int]] = {}
    segments = []
    for segment_id in ids:
        segment = segment_of(segmentation_node, segment_id)
        image = segment.GetRepresentation(LABELMAP)
        labels_of.setdefault(image, []).append(segment.GetLabelValue())
        layer = list(labels_of).index(image)
        segments.append(looks_of(segmentation_node, segment_id) | {"layer": layer})
        yield
    layers = []
    for image, labels in labels_of.items():
        layers.append((yield from _pack_layer(image, labels)))
    return {"layers": layers, "segments": segments}


def unpack_in_steps(
    segmentation_node: Any, volume_node: Any, packed: Packed, kept_out: Sequence[str] = ()
) -> Steps[list[str]]:
    """Put segments back as they were, but for those of some names; returns their ids.

    Args:
        volume_node: the scan, whose grid the segments have.
        kept_out: names of segments that are left out.
    """
    wanted = [one for one in packed["segments"] if one["name"] not in kept_out]
    images = {}
    for number in dict.fromkeys(one["layer"] for one in wanted):
        images[number] = yield from _unpack_layer(packed["layers"][number], volume_node)
    ids = []
    for one in wanted:
        ids.append(_put_back(segmentation_node, one, images[one["layer"]]))
        yield
    return ids


def looks_of(node: Any, segment_id: str) -> Packed:
    """A segment without its voxels, as JSON values: name, label, tags and how it is shown."""
    segment, display = segment_of(node, segment_id), node.GetDisplayNode()
    return {
        "id": segment_id,
        "name": segment.GetName(),
        "label": segment.GetLabelValue(),
        "color": segment.GetColor(),
        "tags": {name: text for name in _KEPT_TAGS if (text := read_tag(segment, name))},
        "visible": is_visible(node, segment_id),
        "fill": display.GetSegmentVisibility2DFill(segment_id),
        "opacity_3d": display.GetSegmentOpacity3D(segment_id),
        "opacity_fill": display.GetSegmentOpacity2DFill(segment_id),
        "opacity_outline": display.GetSegmentOpacity2DOutline(segment_id),
    }


def _put_back(node: Any, one: Packed, image: Any) -> str:
    segment = slicer.vtkSegment()
    segment.SetName(one["name"])
    segment.SetLabelValue(one["label"])
    segment.SetColor(*one["color"])
    for name, text in one["tags"].items():
        segment.SetTag(name, text)
    segment.AddRepresentation(LABELMAP, image)
    segment_id = insert_segment(node, segment, one["id"], before=follower(node, segment))
    display = node.GetDisplayNode()
    display.SetSegmentVisibility(segment_id, one["visible"])
    display.SetSegmentVisibility2DFill(segment_id, one["fill"])
    put_opacities(node, segment_id, one)
    return segment_id


def put_opacities(node: Any, segment_id: str, looks: Packed) -> None:
    """Make a segment as clear as another one was, see ``looks_of``."""
    display = node.GetDisplayNode()
    display.SetSegmentOpacity3D(segment_id, looks["opacity_3d"])
    display.SetSegmentOpacity2DFill(segment_id, looks["opacity_fill"])
    display.SetSegmentOpacity2DOutline(segment_id, looks["opacity_outline"])
    if OPACITY_3D in looks["tags"]:
        segment_of(node, segment_id).SetTag(OPACITY_3D, looks["tags"][OPACITY_3D])


def _pack_layer(image: Any, labels: Sequence[int]) -> Steps[Packed]:
    """The voxels of these labels; all others become 0."""
    voxels = image_array(image)
    compressor, pieces = zlib.compressobj(1), []
    for number, piece in enumerate(voxels, 1):
        pieces.append(
            compressor.compress(np.where(np.isin(piece, labels), piece, 0).astype(voxels.dtype).tobytes())
        )
        if number % _SLICES_A_STEP == 0:
            yield
    pieces.append(compressor.flush())
    data = base64.b64encode(b"".join(pieces)).decode("ascii")
    return {"dtype": voxels.dtype.str, "extent": image.GetExtent(), "voxels": data}


def _unpack_layer(packed: Packed, volume_node: Any) -> Steps[Any]:
    image = empty_layer(np.dtype(packed["dtype"]), volume_node)
    whole = image_array(image)
    first_i, last_i, first_j, last_j, first_k, last_k = packed["extent"]
    rows, columns = last_j - first_j + 1, last_i - first_i + 1
    size = rows * columns * whole.dtype.itemsize
    decompressor, rest = zlib.decompressobj(), base64.b64decode(packed["voxels"])
    for k, target in enumerate(whole):
        target[...] = 0
        if first_k <= k <= last_k:
            data, rest = _read(decompressor, rest, size)
            place = (slice(first_j, last_j + 1), slice(first_i, last_i + 1))
            target[place] = np.frombuffer(data, packed["dtype"]).reshape(rows, columns)
        if (k + 1) % _SLICES_A_STEP == 0:
            yield
    return image


def _read(decompressor: Any, rest: bytes, size: int) -> tuple[bytes, bytes]:
    data = b""
    while len(data) < size:
        piece = decompressor.decompress(rest, size - len(data))
        rest = decompressor.unconsumed_tail
        if not piece:
            break
        data += piece
    return data, rest
