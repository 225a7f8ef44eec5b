"""The segments of the scan that is talked about: results put in and taken back, listed, shown, saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from VILAM3SlicerLib.chat.decision import Choice, Decision
from VILAM3SlicerLib.chat.interfaces import Host, SceneWork
from VILAM3SlicerLib.chat.rows import SegmentRow
from VILAM3SlicerLib.protocol.errors import SceneError, UnsupportedVolume
from VILAM3SlicerLib.protocol.events import ExpertResult
from VILAM3SlicerLib.protocol.nrrd import NrrdVolume
from VILAM3SlicerLib.protocol.phrases import phrases
from VILAM3SlicerLib.scene.expert_groups import expert_label
from VILAM3SlicerLib.scene.label_counts import CountedLayers
from VILAM3SlicerLib.scene.measurements import Measurement, measure
from VILAM3SlicerLib.scene.navigation import go_to_segment
from VILAM3SlicerLib.scene.result_folder import remove_node
from VILAM3SlicerLib.scene.result_segments import Added, ResultSegments
from VILAM3SlicerLib.scene.segment_looks import SegmentLooks
from VILAM3SlicerLib.scene.segment_origin import Origin
from VILAM3SlicerLib.scene.segmentation import (
    find_segmentation,
    is_visible,
    opacity_of,
    save_segmentation,
    segment_ids,
    segment_of,
    set_opacity,
    set_visible,
)
from VILAM3SlicerLib.scene.surfaces import surface_bounds
from VILAM3SlicerLib.scene.terminology import SlicerTerminology
from VILAM3SlicerLib.viewer.size_keeping import SizeKeeping
from VILAM3SlicerLib.viewer.surface_building import SurfaceBuilding

_ = phrases(__name__)


class ScanSegments:
    """The segments that experts found in one scan of a scene.

    ``surfaces`` tells of surfaces that come, ``sizes`` of sizes that were measured, ``looks`` of segments
    that somebody showed, hid or faded.
    ``replaces_earlier``: a repeated call of an expert replaces its earlier segments of the same names, if
    nobody edited them; else the new ones stand beside them.
    """

    def __init__(self, scene: Any, app_logic: Any, host: Host) -> None:
        counted = CountedLayers()
        self.replaces_earlier = True
        self.surfaces = SurfaceBuilding(host)
        self.sizes = SizeKeeping(scene, host, counted)
        self.looks = SegmentLooks()
        self._scene = scene
        self._app_logic = app_logic
        self._results = ResultSegments(scene, SlicerTerminology(app_logic), counted)
        self._node: Any = None
        self._told_ml: dict[str, float] = {}

    @property
    def node(self) -> Any:
        """The volume node that is talked about; None without one, or when it has left the scene."""
        return self._node if self._node is not None and self._node.GetScene() is self._scene else None

    def take_segments_of(self, node: Any) -> None:
        """Go on with the segments of this scan, None for none."""
        self.surfaces.cancel()
        self._node, self._told_ml = node, {}
        self.sizes.watch(node)
        self.looks.watch(self.segmentation)
        if self.segmentation is not None:
            self.surfaces.build(self.segmentation)

    @property
    def surface_bounds(self) -> tuple[float, ...] | None:
        """The box around all surfaces, see ``surfaces.surface_bounds``; None where space is bent."""
        try:
            return surface_bounds(self.segmentation) if self.segmentation is not None else None
        except UnsupportedVolume:
            return None

    def add_result(self, turn_id: str, result: ExpertResult, labelmap: NrrdVolume) -> SceneWork:
        """Put an expert's segments on the views, a piece of the work at each ``next``.

        Raises:
            SceneError: they do not fit the scan, or it was closed.
        """
        if self.node is None:
            raise SceneError(_("The scan of this question is no longer open."))
        origin = Origin(turn_id, result.expert, result.version)
        beside = not self.replaces_earlier
        added = yield from self._results.add_in_steps(self.node, labelmap, result.segments, origin, beside)
        self._told_ml.update(
            {added.ids[one.name]: one.volume_ml for one in result.segments if one.name in added.ids}
        )
        self._after_change()
        return self._whether_to_replace(added, origin)

    def remove_results(self, turn_id: str) -> SceneWork:
        """Take back the segments of a turn and bring back those that they replaced."""
        if self.node is None:
            return None
        edited = yield from self._results.remove_turn_in_steps(self.node, turn_id)
        names = self._names(edited)
        self._after_removal()
        if not edited:
            return None
        question = _("You edited {names} after the answer came, so undoing it left that in place.")
        remove = Choice(_("Remove it too"), lambda: self._remove_edited(turn_id))
        return Decision(turn_id, question.format(names=names), (Choice(_("Keep it")), remove))

    def _whether_to_replace(self, added: Added, origin: Origin) -> Decision | None:
        if not added.edited:
            return None
        question = _(
            "You edited {names} of an earlier answer; the new result of {expert} stands beside it."
        ).format(names=self._names(added.edited), expert=origin.expert)
        replace_it = Choice(_("Replace mine"), lambda: self._replace_edited(added.edited, origin.turn_id))
        return Decision(origin.turn_id, question, (Choice(_("Keep both")), replace_it))

    def _replace_edited(self, ids: Sequence[str], turn_id: str) -> SceneWork:
        if self.node is not None:
            yield from self._results.replace_in_steps(self.node, ids, turn_id)
            self._after_change()
        return None

    def _remove_edited(self, turn_id: str) -> SceneWork:
        if self.node is not None:
            yield from self._results.remove_turn_in_steps(self.node, turn_id, keep_edited=False)
            self._after_removal()
        return None

    def _names(self, ids: Sequence[str]) -> str:
        names = [segment_of(self.segmentation, one).GetName() for one in ids]
        return ", ".join(f"'{name}'" for name in names)

    def _after_removal(self) -> None:
        """A segmentation in which nothing is left goes: it came with a result."""
        if self.segmentation is not None and not segment_ids(self.segmentation):
            self.surfaces.cancel()
            remove_node(self._scene, self.segmentation)
        self._after_change()

    def _after_change(self) -> None:
        self.sizes.refresh()
        self.looks.watch(self.segmentation)
        if self.segmentation is not None:
            self.surfaces.build(self.segmentation)

    def rows(self) -> list[SegmentRow]:
        """The segments in their order."""
        node = self.segmentation
        return [self._row(node, one) for one in segment_ids(node)] if node is not None else []

    @property
    def segmentation(self) -> Any:
        """The segmentation node of the scan, None while nothing was found."""
        return find_segmentation(self._scene, self.node) if self.node is not None else None

    def _row(self, node: Any, segment_id: str) -> SegmentRow:
        segment = segment_of(node, segment_id)
        red, green, blue = (round(255 * channel) for channel in segment.GetColor())
        expert, size = expert_label(segment), self.sizes.of(segment_id)
        edited = size is not None and size.edited
        return SegmentRow(
            segment_id,
            segment.GetName(),
            (red, green, blue),
            size.volume_ml if size is not None else self._told_ml.get(segment_id),
            is_visible(node, segment_id),
            expert + (", edited" if edited else ""),
            opacity_of(node, segment_id),
            size.longest_mm if size is not None else None,
            expert or _("Others"),
            edited,
        )

    def go_to(self, segment_id: str) -> None:
        """Bring the slice views to a segment.

        Raises:
            SceneError: it has no voxels, or is gone.
        """
        go_to_segment(self._app_logic, self._segments(), segment_id)

    def go_to_name(self, name: str) -> None:
        """Bring the slice views to the newest segment of this name; nothing happens where there is none.

        Raises:
            SceneError: it has no voxels.
        """
        found = [row.segment_id for row in self.rows() if row.name == name]
        if found:
            self.go_to(found[-1])

    def measurements(self) -> list[Measurement]:
        """The sizes of all segments, counted in the scene."""
        return measure(self.segmentation) if self.segmentation is not None else []

    def toggle(self, segment_id: str) -> None:
        """Show a segment, or hide it.

        Raises:
            SceneError: it is gone.
        """
        node = self._segments()
        set_visible(node, segment_id, not is_visible(node, segment_id))

    def show_all(self, visible: bool) -> None:
        """Show all segments, or hide them."""
        for row in self.rows():
            set_visible(self.segmentation, row.segment_id, visible)

    def set_opacity(self, segment_id: str, opacity: float) -> None:
        """Make a segment clear (0) to solid (1) in all views.

        Raises:
            SceneError: it is gone.
        """
        set_opacity(self._segments(), segment_id, opacity)

    def _segments(self) -> Any:
        node = self.segmentation
        if node is None:
            raise SceneError(_("There are no segments."), _("Ask for a segmentation first."))
        return node

    def save_segmentation(self, path: Path) -> None:
        """Write the segments as .seg.nrrd.

        Raises:
            SceneError: there are none, or the file cannot be written.
        """
        save_segmentation(self._scene, self._segments(), path)

    def segmentation_file(self) -> bytes:
        """The segments as the bytes of a .seg.nrrd.

        Raises:
            SceneError: see ``save_segmentation``.
        """
        try:
            with TemporaryDirectory() as folder:
                path = Path(folder) / "segmentation.seg.nrrd"
                self.save_segmentation(path)
                return path.read_bytes()
        except OSError as error:
            raise SceneError(
                _("No file could be made: {strerror}.").format(strerror=error.strerror), _("Free some space.")
            ) from error
