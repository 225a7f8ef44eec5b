"""The segmentation node of a scan and its segments: finding, removing, showing, saving them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import slicer
from vtkmodules.vtkCommonDataModel import vtkPolyData

from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.protocol.phrases import phrases
from VILAM3SlicerLib.scene.arrays import image_array
from VILAM3SlicerLib.scene.scan_nodes import safe_name
from VILAM3SlicerLib.scene.segment_origin import read_origin
from VILAM3SlicerLib.scene.steps import Steps, finish

_ = phrases(__name__)

LABELMAP = "Binary labelmap"
CLOSED_SURFACE = "Closed surface"
"""Slicer's names of a segment's representations (vtkSegmentationConverter)."""

_OURS = "VILAM3.Segmentation"
_SLICES_A_STEP = 8
_SEGMENTS_A_STEP = 16
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
        raise SceneError(
            _("There is no segment '{segment_id}'.").format(segment_id=segment_id),
            _("It was removed; ask for it again."),
        )
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
    node = create_segmentation(scene, volume_node)
    node.SetAndObserveSegmentation(segmentation_node.GetSegmentation())
    if segmentation_node.GetDisplayNode() is not None:
        node.GetDisplayNode().CopyContent(segmentation_node.GetDisplayNode())
    lay_on(node, volume_node)
    return node


def create_segmentation(scene: Any, volume_node: Any) -> Any:
    """A new node for the results about a scan."""
    name = scene.GenerateUniqueName(safe_name(f"{volume_node.GetName()} segmentation"))
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.SetAttribute(_OURS, "1")
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAmbient(_AMBIENT)
    node.GetDisplayNode().SetDiffuse(_DIFFUSE)
    lay_on(node, volume_node)
    return node


def lay_on(node: Any, volume_node: Any) -> None:
    """Give a segmentation the parent transform of its scan and, after that, its grid.

    Slicer reckons the grid from where both lie in the world; were they apart, it would resample on saving.
    """
    node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)


def insert_segment(segmentation_node: Any, segment: Any, wanted_id: str = "", before: str = "") -> str:
    """Add a segment, before another one or last; the id it got, the wanted one if that is free.

    Slicer would build the surface of a segment that comes to others which have one, in this process; an empty
    one keeps it from that until ``surfaces`` brings the real one.

    The id is freed from what Slicer cannot save in one: its display node separates by ``|`` and ``:`` and
    escapes no ampersand. The segment's name is left as it is.

    Raises:
        SceneError: Slicer does not take it.
    """
    segmentation = segmentation_node.GetSegmentation()
    if segmentation.ContainsRepresentation(CLOSED_SURFACE):
        segment.AddRepresentation(CLOSED_SURFACE, vtkPolyData())
    segment_id = str(segmentation.GenerateUniqueSegmentID(_plain(wanted_id or segment.GetName())))
    if not segmentation.AddSegment(segment, segment_id, before):
        raise SceneError(
            _("The segment '{name}' could not be added to the scene.").format(name=segment.GetName())
        )
    return segment_id


def _plain(text: str) -> str:
    return re.sub(r"[^\w .()+-]", "_", text)


def remove_segments(segmentation_node: Any, ids: Sequence[str]) -> None:
    """``remove_in_steps`` at once."""
    finish(remove_in_steps(segmentation_node, ids))


def remove_in_steps(segmentation_node: Any, ids: Sequence[str]) -> Steps[None]:
    """Remove segments, then wipe out their voxels; one that went meanwhile is passed over.

    Slicer wipes a removed segment out of its shared layer, which takes 0.2 s each for 512x512x133; so each is
    taken out of its layer first, and the layers that go on are wiped once.
    """
    segmentation = segmentation_node.GetSegmentation()
    left: dict[Any, list[int]] = {}
    for number, segment_id in enumerate(ids, 1):
        segment = segmentation.GetSegment(segment_id)
        if segment is None:
            continue
        image = segment.GetRepresentation(LABELMAP)
        left.setdefault(image, []).append(segment.GetLabelValue())
        segment.AddRepresentation(LABELMAP, slicer.vtkOrientedImageData())
        segmentation.RemoveSegment(segment_id)
        if number % _SEGMENTS_A_STEP == 0:
            yield
    for image in left.keys() & layers_of(segmentation_node):
        for number, piece in enumerate(image_array(image), 1):
            piece[np.isin(piece, left[image])] = 0
            if number % _SLICES_A_STEP == 0:
                yield


def layers_of(segmentation_node: Any) -> set[Any]:
    """The images that the segments' voxels are in."""
    ids = segment_ids(segmentation_node)
    return {segment_of(segmentation_node, segment_id).GetRepresentation(LABELMAP) for segment_id in ids}


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
        SceneError: the file cannot be written; one that was there stays as it was.
    """
    draft = path.with_name(f"{uuid4().hex}.seg.nrrd")
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    try:
        storage.SetFileName(str(draft))
        storage.SetUseCompression(True)
        if not storage.WriteData(segmentation_node):
            raise SceneError(
                _("{path} could not be written.").format(path=path),
                _("Is there room on the disk, and permission?"),
            )
        draft.replace(path)
    except OSError as error:
        raise SceneError(
            _("{path} could not be written: {strerror}.").format(path=path, strerror=error.strerror),
            _("Choose another place."),
        ) from error
    finally:
        scene.RemoveNode(storage)
        draft.unlink(missing_ok=True)
