"""Results of experts in the scene: put in, replaced, taken out again, with respect for a person's edits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import slicer

from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.protocol.events import Color, SegmentInfo
from VILAM3SlicerLib.protocol.nrrd import NrrdVolume
from VILAM3SlicerLib.protocol.phrases import phrases
from VILAM3SlicerLib.scene.colors import distinct_color
from VILAM3SlicerLib.scene.envelopes import FAINT, soften_envelopes
from VILAM3SlicerLib.scene.expert_groups import (
    follower,
    order_by_expert,
    put_headings_in_steps,
    remove_headings,
)
from VILAM3SlicerLib.scene.label_counts import CountedLayers, count_in_steps
from VILAM3SlicerLib.scene.layers import Layer, layers_in_steps, overlapping, read_labels_in_steps
from VILAM3SlicerLib.scene.packed_segments import (
    Packed,
    looks_of,
    pack_in_steps,
    put_opacities,
    unpack_in_steps,
)
from VILAM3SlicerLib.scene.replaced_segments import keep_replaced, take_replaced
from VILAM3SlicerLib.scene.result_folder import file_result
from VILAM3SlicerLib.scene.scan_nodes import safe_text
from VILAM3SlicerLib.scene.segment_origin import Origin, is_by, read_fingerprint, write_origin
from VILAM3SlicerLib.scene.segmentation import (
    LABELMAP,
    create_segmentation,
    find_segmentation,
    insert_segment,
    lay_on,
    remove_in_steps,
    segment_ids,
    segment_of,
)
from VILAM3SlicerLib.scene.steps import Result, Steps, finish
from VILAM3SlicerLib.scene.terminology import Terminology

_ = phrases(__name__)


@dataclass(frozen=True)
class Added:
    """What came: ids by name, and the edited segments of the same names that they stand beside."""

    ids: dict[str, str]
    edited: tuple[str, ...] = ()


class ResultSegments:
    """Puts results into a scene and takes them out again.

    Args:
        scene: the MRML scene.
        terminology: where codes and colours of the names come from.
        counted: the counts of the layers, which tell edited segments.
    """

    def __init__(self, scene: Any, terminology: Terminology, counted: CountedLayers | None = None) -> None:
        self._scene = scene
        self._terminology = terminology
        self._counted = counted or CountedLayers()

    def add(
        self, volume_node: Any, labelmap: NrrdVolume, segments: Sequence[SegmentInfo], origin: Origin
    ) -> dict[str, str]:
        """``add_in_steps`` at once, in place of earlier ones; the name of each segment and its id."""
        return finish(self.add_in_steps(volume_node, labelmap, segments, origin)).ids

    def add_in_steps(
        self,
        volume_node: Any,
        labelmap: NrrdVolume,
        segments: Sequence[SegmentInfo],
        origin: Origin,
        beside: bool = False,
    ) -> Steps[Added]:
        """Show a result on its scan, a piece of the work at a time; a parent transform of the scan is given
        to the segments too.

        An earlier segment of the same name from the same expert is replaced, its colour and opacity kept,
        unless somebody edited it: then the new one stands beside it, as all do if ``beside`` is set.

        Raises:
            SceneError: the labelmap has another grid than the scan, or the scan has left the scene; the
                scene is as it was.
        """
        steps = self._add(volume_node, labelmap, segments, origin, beside)
        return (yield from self._while_present(volume_node, steps))

    def _add(
        self,
        volume_node: Any,
        labelmap: NrrdVolume,
        segments: Sequence[SegmentInfo],
        origin: Origin,
        beside: bool,
    ) -> Steps[Added]:
        segments = [replace(one, name=safe_text(one.name)) for one in segments]
        labels = yield from read_labels_in_steps(labelmap, volume_node)
        counts = yield from count_in_steps(labels)
        layers = yield from layers_in_steps(labels, counts, segments, volume_node)
        names = set() if beside else {layer.segment.name for layer in layers}
        node = find_segmentation(self._scene, volume_node)
        earlier = self._earlier(node, names, origin) if node is not None else []
        edited = (yield from self.edited_in_steps(node, earlier)) if earlier else set()
        replaced = [one for one in earlier if one not in edited]
        looks = yield from self._take_out(volume_node, replaced, origin.turn_id)
        node = self._node(volume_node)
        remove_headings(node)
        outlined = overlapping(segments)
        ids = {}
        for layer in layers:
            name = layer.segment.name
            before = looks.get(name)
            segment = self._segment(node, layer, before["color"] if before else None)
            write_origin(segment, origin, counts.fingerprint(layer.segment.label_values))
            ids[name] = _insert(node, segment, name in outlined)
            if before:
                put_opacities(node, ids[name], before)
            yield
        yield from _arrange(node)
        return Added(ids, tuple(edited))

    def remove_turn(self, volume_node: Any, turn_id: str) -> int:
        """``remove_turn_in_steps`` at once, edited segments too; how many there were."""
        node = find_segmentation(self._scene, volume_node)
        count = len(segment_ids(node, turn_id)) if node is not None else 0
        finish(self.remove_turn_in_steps(volume_node, turn_id, keep_edited=False))
        return count

    def remove_turn_in_steps(
        self, volume_node: Any, turn_id: str, keep_edited: bool = True
    ) -> Steps[list[str]]:
        """Take away the segments of one turn and nothing else, and bring back those that they replaced.

        Returns:
            The ids of segments that somebody edited and that were left therefore.
        """
        node = find_segmentation(self._scene, volume_node)
        if node is None:
            return []
        steps = self._remove_turn(volume_node, node, turn_id, keep_edited)
        return (yield from self._while_present(volume_node, steps))

    def _remove_turn(self, volume_node: Any, node: Any, turn_id: str, keep_edited: bool) -> Steps[list[str]]:
        ids = segment_ids(node, turn_id)
        edited = (yield from self.edited_in_steps(node, ids)) if keep_edited else set()
        kept = {segment_of(node, one).GetName() for one in edited}
        yield from remove_in_steps(node, [one for one in ids if one not in edited])
        remove_headings(node)
        for packed in take_replaced(self._scene, volume_node, turn_id):
            waiting = [one for one in packed["segments"] if one["name"] in kept]
            if waiting:  # comes back once its successor, which somebody edited, is gone
                keep_replaced(self._scene, volume_node, turn_id, packed | {"segments": waiting})
            yield from unpack_in_steps(node, volume_node, packed, tuple(kept))
        yield from _arrange(node)
        return sorted(edited)

    def replace_in_steps(self, volume_node: Any, ids: Sequence[str], turn_id: str) -> Steps[None]:
        """Take out segments, edited or not, as replaced by a turn: undoing it brings them back."""
        node = find_segmentation(self._scene, volume_node)
        there = set(segment_ids(node)) if node is not None else set()
        present = [one for one in ids if one in there]
        yield from self._while_present(volume_node, self._take_out(volume_node, present, turn_id))

    def edited_in_steps(self, segmentation_node: Any, ids: Sequence[str]) -> Steps[set[str]]:
        """Those of our segments whose voxels are no longer those that came."""
        edited = set()
        for segment_id in ids:
            segment = segment_of(segmentation_node, segment_id)
            counts = yield from self._counted.of_in_steps(segment.GetRepresentation(LABELMAP))
            if counts.fingerprint([segment.GetLabelValue()]) != read_fingerprint(segment):
                edited.add(segment_id)
            yield
        return edited

    def _while_present(self, volume_node: Any, steps: Steps[Result]) -> Steps[Result]:
        """Go on as long as scan and segmentation are in the scene: a person may close them between steps."""
        node = None
        while True:
            node = node or find_segmentation(self._scene, volume_node)
            if any(one is not None and one.GetScene() is not self._scene for one in (volume_node, node)):
                raise SceneError(
                    _("The scan or its segmentation was removed meanwhile."),
                    _("Open the scan again and ask again."),
                )
            try:
                next(steps)
            except StopIteration as end:
                result: Result = end.value
                return result
            yield

    def _node(self, volume_node: Any) -> Any:
        node = find_segmentation(self._scene, volume_node)
        if node is None:
            node = create_segmentation(self._scene, volume_node)
            file_result(self._scene, volume_node, node)
        lay_on(node, volume_node)
        return node

    def _earlier(self, node: Any, names: set[str], origin: Origin) -> list[str]:
        """This expert's segments of these names."""
        segments = {segment_id: segment_of(node, segment_id) for segment_id in segment_ids(node)}
        return [
            segment_id
            for segment_id, segment in segments.items()
            if segment.GetName() in names and is_by(segment, origin.expert)
        ]

    def _take_out(self, volume_node: Any, ids: Sequence[str], turn_id: str) -> Steps[dict[str, Packed]]:
        """Remove segments and keep them for undo; how they looked, by name."""
        if not ids:
            return {}
        node = find_segmentation(self._scene, volume_node)
        own = set(segment_ids(node, turn_id))
        of_others = [one for one in ids if one not in own]
        packed = yield from pack_in_steps(node, of_others)
        if of_others:
            keep_replaced(self._scene, volume_node, turn_id, packed)
            yield
        looks = [looks_of(node, one) for one in ids]
        yield from remove_in_steps(node, ids)
        return {one["name"]: one for one in looks}

    def _segment(self, node: Any, layer: Layer, color: Color | None) -> Any:
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


def _arrange(segmentation_node: Any) -> Steps[None]:
    """What follows from all segments together: their order, and how clear those around others are."""
    order_by_expert(segmentation_node)
    soften_envelopes(segmentation_node)
    yield from put_headings_in_steps(segmentation_node)


def _insert(node: Any, segment: Any, outlined: bool) -> str:
    segment_id = insert_segment(node, segment, before=follower(node, segment))
    if outlined:
        node.GetDisplayNode().SetSegmentVisibility2DFill(segment_id, False)
        node.GetDisplayNode().SetSegmentOpacity3D(segment_id, FAINT)
    return segment_id
