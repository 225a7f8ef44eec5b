"""A result's labelmap as layers of a segmentation: images on the volume's grid that segments share.

Segments of one label value share one layer, label values kept; a segment of several values (it may overlap
others), or of a value that the shared layer has given to another segment, gets a layer of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.protocol.events import SegmentInfo
from VILAM3SlicerLib.protocol.nrrd import NrrdVolume
from VILAM3SlicerLib.protocol.phrases import phrases
from VILAM3SlicerLib.scene.arrays import Array, image_array, vtk_type
from VILAM3SlicerLib.scene.geometry import from_wire, ijk_to_ras
from VILAM3SlicerLib.scene.label_counts import LabelCounts, range_in_steps
from VILAM3SlicerLib.scene.steps import Steps

_ = phrases(__name__)

MAX_LABEL = 1023
"""The highest label value of a result; what counts labels keeps a table of this length."""

_GRID_TOLERANCE_MM = 1e-4
_SLICES_A_STEP = 16


@dataclass(frozen=True)
class Layer:
    """Where a segment's voxels are: an oriented image and the value they have in it."""

    segment: SegmentInfo
    image: Any
    label_value: int


def read_labels_in_steps(labelmap: NrrdVolume, volume_node: Any) -> Steps[Array]:
    """The label values of a result, shape (K, J, I), a view of its bytes.

    Raises:
        SceneError: the labelmap has another grid than the volume, or values that are no labels.
    """
    if labelmap.dtype.startswith("float"):
        raise SceneError(
            _("The result's labelmap has no whole numbers."), _("Report this to its expert's author.")
        )
    same_shape = labelmap.shape == tuple(volume_node.GetImageData().GetDimensions())
    distance = np.abs(from_wire(labelmap.ijk_to_ras) - ijk_to_ras(volume_node)).max()
    if not same_shape or distance > _GRID_TOLERANCE_MM:
        raise SceneError(
            _("The result lies on another grid than '{name}'.").format(name=volume_node.GetName()),
            _("The scan was changed after the question; ask again."),
        )
    dtype = np.dtype(labelmap.dtype).newbyteorder("<")
    labels = np.frombuffer(labelmap.voxels, dtype=dtype).reshape(labelmap.shape[::-1])
    lowest, highest = yield from range_in_steps(labels)
    if lowest < 0 or highest > MAX_LABEL:
        raise SceneError(
            _("The result has label values outside 0 to {highest}.").format(highest=MAX_LABEL),
            _("Report this to its expert's author."),
        )
    return labels


def layers_in_steps(
    labels: Array, counts: LabelCounts, segments: Sequence[SegmentInfo], volume_node: Any
) -> Steps[list[Layer]]:
    """The layers of a result, on the grid of the volume bit for bit; ``counts`` are those of ``labels``.

    Segments without label values are left out.
    """
    sharing: dict[int, SegmentInfo] = {}
    for segment in segments:
        if len(segment.label_values) == 1:
            sharing.setdefault(segment.label_values[0], segment)
    shared = (yield from _shared_image(labels, counts, sharing.keys(), volume_node)) if sharing else None
    layers = []
    for segment in segments:
        if segment.label_values and segment is sharing.get(segment.label_values[0]):
            layers.append(Layer(segment, shared, segment.label_values[0]))
        elif segment.label_values:
            own = yield from _own_image(labels, segment.label_values, volume_node)
            layers.append(Layer(segment, own, 1))
    return layers


def overlapping(segments: Sequence[SegmentInfo]) -> set[str]:
    """The names of segments that hold another segment whole, such as the body around its organs."""
    values = {segment.name: set(segment.label_values) for segment in segments}
    return {name for name, whole in values.items() if any(part and part < whole for part in values.values())}


def _shared_image(labels: Array, counts: LabelCounts, kept: Collection[int], volume_node: Any) -> Steps[Any]:
    """The labels, without values that no segment of this layer has."""
    image = empty_layer(labels.dtype, volume_node)
    if counts.present <= set(kept):
        yield from _copy(labels, image_array(image))
    else:
        yield from _translate(labels, {value: value for value in kept}, image_array(image))
    return image


def _own_image(labels: Array, values: Collection[int], volume_node: Any) -> Steps[Any]:
    image = empty_layer(np.dtype(np.uint8), volume_node)
    yield from _translate(labels, dict.fromkeys(values, 1), image_array(image))
    return image


def _copy(labels: Array, result: Array) -> Steps[None]:
    for start in range(0, len(labels), _SLICES_A_STEP):
        result[start : start + _SLICES_A_STEP] = labels[start : start + _SLICES_A_STEP]
        yield


def _translate(labels: Array, becomes: dict[int, int], result: Array) -> Steps[None]:
    """Write what each label becomes, 0 for all others; slice by slice, so that little memory is needed."""
    table = np.zeros(MAX_LABEL + 1, dtype=result.dtype)
    table[list(becomes)] = list(becomes.values())
    for number, (piece, target) in enumerate(zip(labels, result, strict=True), 1):
        np.take(table, piece, out=target, mode="clip")
        if number % _SLICES_A_STEP == 0:
            yield


def empty_layer(dtype: Any, volume_node: Any) -> Any:
    """A layer of unwritten voxels; its geometry is the node's own numbers, not their product.

    Raises:
        SceneError: the volume has lost its voxels.
    """
    if volume_node.GetImageData() is None:
        raise SceneError(
            _("'{name}' has no voxels any more.").format(name=volume_node.GetName()),
            _("Load the scan again."),
        )
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(volume_node.GetImageData().GetDimensions())
    image.SetSpacing(volume_node.GetSpacing())
    image.SetOrigin(volume_node.GetOrigin())
    directions = vtkMatrix4x4()
    volume_node.GetIJKToRASDirectionMatrix(directions)
    image.SetDirections([[directions.GetElement(row, column) for column in range(3)] for row in range(3)])
    image.AllocateScalars(vtk_type(dtype), 1)
    return image
