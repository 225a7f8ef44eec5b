"""Results of experts as segments: one segmentation node per scan, a set of segments per turn and expert."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from vtkmodules.vtkCommonDataModel import vtkPolyData

from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.protocol.events import SegmentInfo
from VILAM3SlicerLib.protocol.nrrd import NrrdVolume
from VILAM3SlicerLib.scene.arrays import image_array
from VILAM3SlicerLib.scene.colors import distinct_color
from VILAM3SlicerLib.scene.label_counts import LabelCounts, count_in_steps, count_layer_in_steps
from VILAM3SlicerLib.scene.layers import Layer, layers_in_steps, overlapping, read_labels
from VILAM3SlicerLib.scene.segment_origin import Origin, read_fingerprint, read_origin, write_origin
from VILAM3SlicerLib.scene.steps import Steps, finish
from VILAM3SlicerLib.scene.terminology import Terminology

LABELMAP = "Binary labelmap"
CLOSED_SURFACE = "Closed surface"
"""Slicer's names of a segment's representations (vtkSegmentationConverter)."""

_OURS = "VILAM3.Segmentation"
_OUTLINE_OPACITY_3D = 0.15
_AMBIENT, _DIFFUSE = 0.25, 0.85
"""Light on the surfaces: without some from everywhere, edges that point away from the eye are black lines."""


def find_segmentation(scene: Any, volume_node: Any) -> Any:
    """The segmentation node that holds our results for a scan, None where there is none yet."""
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    nodes = scene.GetNodesByClass("vtkMRMLSegmentationNode")
    for index in range(nodes.GetNumberOfItems()):
        node = nodes.GetItemAsObject(index)
        if node.GetAttribute(_OURS) and node.GetNodeReferenceID(role) == volume_node.GetID():
            return node
    return None


def segment_of(segmentation_node: Any, segment_id: str) -> Any:
    """The ``vtkSegment`` with this id.

    Raises:
        SceneError: there is none (any more).
    """
    segment = segmentation_node.GetSegmentation().GetSegment(segment_id)
    if segment is None:
        raise SceneError(f"There is no segment '{segment_id}'.", "It was removed; ask for it again.")
    return segment


def segment_ids(segmentation_node: Any, turn_id: str | None = None) -> list[str]:
    """The ids of the segments, in their order; of one turn where that is given."""
    segmentation = segmentation_node.GetSegmentation()
    ids = [str(segmentation.GetNthSegmentID(index)) for index in range(segmentation.GetNumberOfSegments())]
    if turn_id is None:
        return ids
    origins = {segment_id: read_origin(segmentation.GetSegment(segment_id)) for segment_id in ids}
    return [segment_id for segment_id, origin in origins.items() if origin and origin.turn_id == turn_id]


def adopt_segmentation(scene: Any, volume_node: Any, segmentation_node: Any) -> Any:
    """Take the segments of a node of another scene, as they look there, for a scan of this one."""
    node = _create(scene, volume_node)
    node.SetAndObserveSegmentation(segmentation_node.GetSegmentation())
    if segmentation_node.GetDisplayNode() is not None:
        node.GetDisplayNode().CopyContent(segmentation_node.GetDisplayNode())
    _lay_on(node, volume_node)
    return node


def _create(scene: Any, volume_node: Any) -> Any:
    name = scene.GenerateUniqueName(f"{volume_node.GetName()} segmentation")
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.SetAttribute(_OURS, "1")
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAmbient(_AMBIENT)
    node.GetDisplayNode().SetDiffuse(_DIFFUSE)
    _lay_on(node, volume_node)
    return node


def _lay_on(node: Any, volume_node: Any) -> None:
    """Give a segmentation the parent transform of its scan and, after that, its grid.

    Slicer reckons the grid from where both lie in the world; were they apart, it would resample on saving.
    """
    node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)


class ResultSegments:
    """Puts results into a scene and takes them out again.

    Args:
        scene: the MRML scene.
        terminology: where codes and colours of the names come from.
    """

    def __init__(self, scene: Any, terminology: Terminology) -> None:
        self._scene = scene
        self._terminology = terminology

    def add(
        self, volume_node: Any, labelmap: NrrdVolume, segments: Sequence[SegmentInfo], origin: Origin
    ) -> dict[str, str]:
        """``add_in_steps`` at once."""
        return finish(self.add_in_steps(volume_node, labelmap, segments, origin))

    def add_in_steps(
        self, volume_node: Any, labelmap: NrrdVolume, segments: Sequence[SegmentInfo], origin: Origin
    ) -> Steps[dict[str, str]]:
        """Show a result on its scan, a piece of the work at a time; a parent transform of the scan is given
        to the segments too.

        An earlier segment of the same name from the same expert is replaced and its colour kept, unless
        somebody edited it: then the new one stands beside it.

        Returns:
            The name of each segment and its id in the segmentation node (``find_segmentation``).

        Raises:
            SceneError: the labelmap has another grid than the scan; the scene is as it was.
        """
        labels = read_labels(labelmap, volume_node)
        counts = yield from count_in_steps(labels)
        layers = yield from layers_in_steps(labels, counts, segments, volume_node)
        node = find_segmentation(self._scene, volume_node) or _create(self._scene, volume_node)
        _lay_on(node, volume_node)
        colors = yield from self._replace(node, {segment.name for segment in segments}, origin.expert)
        outlined = overlapping(segments)
        ids = {}
        for layer in layers:
            segment = self._segment(node, layer, colors.get(layer.segment.name))
            write_origin(segment, origin, counts.fingerprint(layer.segment.label_values))
            ids[layer.segment.name] = _insert(node, segment, layer.segment.name in outlined)
            yield
        return ids

    def remove_turn(self, volume_node: Any, turn_id: str) -> int:
        """Take away the segments of one turn and nothing else; how many there were."""
        node = find_segmentation(self._scene, volume_node)
        ids = segment_ids(node, turn_id) if node is not None else []
        if ids:
            remove_segments(node, ids)
        return len(ids)

    def _replace(
        self, node: Any, names: set[str], expert: str
    ) -> Steps[dict[str, tuple[float, float, float]]]:
        """Remove this expert's unedited segments of these names; the colours they had, by name."""
        segmentation = node.GetSegmentation()
        earlier = [
            segment_id
            for segment_id in segment_ids(node)
            if segmentation.GetSegment(segment_id).GetName() in names
            and _expert(segmentation.GetSegment(segment_id)) == expert
        ]
        edited = yield from _edited_in_steps(node, earlier)
        replaced = [segment_id for segment_id in earlier if segment_id not in edited]
        colors = {
            segmentation.GetSegment(segment_id).GetName(): segmentation.GetSegment(segment_id).GetColor()
            for segment_id in replaced
        }
        remove_segments(node, replaced)
        return colors

    def _segment(self, node: Any, layer: Layer, color: tuple[float, float, float] | None) -> Any:
        term = self._terminology.find(layer.segment.terminology or layer.segment.name)
        segment = slicer.vtkSegment()
        segment.SetName(layer.segment.name)
        segment.SetLabelValue(layer.label_value)
        segment.AddRepresentation(LABELMAP, layer.image)
        if term is not None:
            segment.SetTag(segment.GetTerminologyEntryTagName(), term.tag)
        used = [segment_of(node, segment_id).GetColor() for segment_id in segment_ids(node)]
        segment.SetColor(*(color or distinct_color(term.color if term else None, used)))
        return segment


def edited_segments(segmentation_node: Any, ids: Sequence[str]) -> set[str]:
    """Those of our segments whose voxels are no longer those that came."""
    return finish(_edited_in_steps(segmentation_node, ids))


def _edited_in_steps(segmentation_node: Any, ids: Sequence[str]) -> Steps[set[str]]:
    counts: dict[Any, LabelCounts] = {}
    edited = set()
    for segment_id in ids:
        segment = segment_of(segmentation_node, segment_id)
        image = segment.GetRepresentation(LABELMAP)
        if image not in counts:
            counts[image] = yield from count_layer_in_steps(image)
        if counts[image].fingerprint([segment.GetLabelValue()]) != read_fingerprint(segment):
            edited.add(segment_id)
    return edited


def remove_segments(segmentation_node: Any, ids: Sequence[str]) -> None:
    """Remove segments at once.

    Slicer wipes a removed segment out of its shared layer, which takes 0.2 s each for 512x512x133; so each is
    taken out of its layer first, and the layers that go on are wiped once.
    """
    segmentation = segmentation_node.GetSegmentation()
    left: dict[Any, list[int]] = {}
    for segment_id in ids:
        segment = segment_of(segmentation_node, segment_id)
        image = segment.GetRepresentation(LABELMAP)
        left.setdefault(image, []).append(segment.GetLabelValue())
        segment.AddRepresentation(LABELMAP, slicer.vtkOrientedImageData())
        segmentation.RemoveSegment(segment_id)
    for image in left.keys() & _layers(segmentation_node):
        labels = image_array(image)
        labels[np.isin(labels, left[image])] = 0


def _layers(segmentation_node: Any) -> set[Any]:
    ids = segment_ids(segmentation_node)
    return {segment_of(segmentation_node, segment_id).GetRepresentation(LABELMAP) for segment_id in ids}


def _insert(node: Any, segment: Any, outlined: bool) -> str:
    """Add a segment to the node; the id it got.

    Slicer would build the surface of a segment that comes to others which have one, in this process; an empty
    one keeps it from that until ``surfaces`` brings the real one.
    """
    segmentation = node.GetSegmentation()
    if segmentation.ContainsRepresentation(CLOSED_SURFACE):
        segment.AddRepresentation(CLOSED_SURFACE, vtkPolyData())
    segment_id = str(segmentation.GenerateUniqueSegmentID(segment.GetName()))
    if not segmentation.AddSegment(segment, segment_id):
        raise SceneError(f"The segment '{segment.GetName()}' could not be added to the scene.")
    if outlined:
        node.GetDisplayNode().SetSegmentVisibility2DFill(segment_id, False)
        node.GetDisplayNode().SetSegmentOpacity3D(segment_id, _OUTLINE_OPACITY_3D)
    return segment_id


def _expert(segment: Any) -> str | None:
    origin = read_origin(segment)
    return origin.expert if origin else None


def set_visible(segmentation_node: Any, segment_id: str, visible: bool) -> None:
    """Show or hide a segment in all views."""
    segment_of(segmentation_node, segment_id)
    segmentation_node.GetDisplayNode().SetSegmentVisibility(segment_id, visible)


def is_visible(segmentation_node: Any, segment_id: str) -> bool:
    """Whether a segment is shown."""
    return bool(segmentation_node.GetDisplayNode().GetSegmentVisibility(segment_id))


def set_opacity(segmentation_node: Any, segment_id: str, opacity: float) -> None:
    """Opacity of a segment in all views, 0 (clear) to 1 (solid)."""
    segment_of(segmentation_node, segment_id)
    display = segmentation_node.GetDisplayNode()
    display.SetSegmentOpacity(segment_id, opacity)


def opacity_of(segmentation_node: Any, segment_id: str) -> float:
    """Opacity of a segment's outline in the slices, 0 to 1."""
    return float(segmentation_node.GetDisplayNode().GetSegmentOpacity2DOutline(segment_id))


def save_segmentation(scene: Any, segmentation_node: Any, path: Path) -> None:
    """Write a ``.seg.nrrd`` file: labels, names, colours and codes, in the scan's own frame.

    Raises:
        SceneError: the file cannot be written.
    """
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    try:
        storage.SetFileName(str(path))
        storage.SetUseCompression(True)
        if not storage.WriteData(segmentation_node):
            raise SceneError(f"{path} could not be written.", "Is there room on the disk, and permission?")
    finally:
        scene.RemoveNode(storage)
