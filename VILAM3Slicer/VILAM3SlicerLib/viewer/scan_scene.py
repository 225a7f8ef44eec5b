"""The scan that is talked about and its segments: ``chat.interfaces.Scene`` over MRML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from VILAM3SlicerLib.chat.decision import Choice, Decision
from VILAM3SlicerLib.chat.interfaces import Host, PackedScan, SceneWork
from VILAM3SlicerLib.chat.marks import NO_MARKS, Marks
from VILAM3SlicerLib.chat.mri_study import MriStudy
from VILAM3SlicerLib.chat.report_exports import ScanFacts
from VILAM3SlicerLib.chat.rows import SegmentRow
from VILAM3SlicerLib.chat.turn import QuestionImage
from VILAM3SlicerLib.protocol.errors import SceneError, UnsupportedVolume
from VILAM3SlicerLib.protocol.events import ExpertResult
from VILAM3SlicerLib.protocol.messages import ViewMode
from VILAM3SlicerLib.protocol.nrrd import NrrdVolume
from VILAM3SlicerLib.scene.capture import CapturedView, capture, capture_all
from VILAM3SlicerLib.scene.conversation_store import forget_conversation, load_conversation, save_conversation
from VILAM3SlicerLib.scene.geometry import plane_name, ras_to_world, transform_point
from VILAM3SlicerLib.scene.heat_map import HeatMapOverlay
from VILAM3SlicerLib.scene.label_counts import CountedLayers
from VILAM3SlicerLib.scene.measurements import Measurement, measure
from VILAM3SlicerLib.scene.modality import guess_modality
from VILAM3SlicerLib.scene.navigation import go_to_segment
from VILAM3SlicerLib.scene.question_marks import QuestionMarks
from VILAM3SlicerLib.scene.replaced_segments import forget_replaced
from VILAM3SlicerLib.scene.result_segments import Added, ResultSegments
from VILAM3SlicerLib.scene.segment_origin import Origin, read_origin
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
from VILAM3SlicerLib.scene.segments_at import segment_at
from VILAM3SlicerLib.scene.surfaces import surface_bounds
from VILAM3SlicerLib.scene.terminology import SlicerTerminology
from VILAM3SlicerLib.scene.views import SliceView, slice_view, slice_views
from VILAM3SlicerLib.scene.volumes import check_volume, volume_bounds
from VILAM3SlicerLib.viewer.asked_volumes import AskedVolumes
from VILAM3SlicerLib.viewer.companion_views import CompanionViews
from VILAM3SlicerLib.viewer.size_keeping import SizeKeeping
from VILAM3SlicerLib.viewer.surface_building import SurfaceBuilding


class ScanScene:
    """One scan of a scene, with the segments that experts found in it; nothing else is touched.

    ``modality`` may be set by the person, ``default_modality`` wins over the guess for each scan taken up;
    ``asked_view`` is the slice view whose picture is sent. ``surfaces`` tells of surfaces that come.
    ``heat`` lays the heat map of a finding over the scan.
    ``study``, ``question_marks`` and ``companions`` are what the person may change of the next question.
    ``replaces_earlier``: a repeated call of an expert replaces its earlier segments of the same names, if
    nobody edited them; else the new ones stand beside them.
    """

    def __init__(self, scene: Any, app_logic: Any, host: Host) -> None:
        self.modality = "Unknown"
        self.default_modality = ""
        self.asked_view = "Red"
        self.replaces_earlier = True
        self.surfaces = SurfaceBuilding(host)
        self.volumes = AskedVolumes(scene, host)
        self.question_marks = QuestionMarks(scene, app_logic)
        self.companions = CompanionViews(app_logic)
        self._scene = scene
        self._app_logic = app_logic
        self.heat = HeatMapOverlay(scene, app_logic)
        counted = CountedLayers()
        self.sizes = SizeKeeping(scene, host, counted)
        self._results = ResultSegments(scene, SlicerTerminology(app_logic), counted)
        self._node: Any = None
        self._told_ml: dict[str, float] = {}

    @property
    def node(self) -> Any:
        """The volume node that is talked about; None without one, or when it has left the scene."""
        return self._node if self._node is not None and self._node.GetScene() is self._scene else None

    @property
    def study(self) -> MriStudy:
        """Which volumes are the sequences of the scan's study."""
        return self.volumes.study

    def close(self) -> None:
        """Observe the scene no more and build no more surfaces."""
        self.surfaces.cancel()
        self.sizes.close()
        self.volumes.close()
        self.question_marks.close()

    def belongs(self, node: Any) -> bool:
        """Whether a volume node is what is talked about, or another sequence of its study."""
        if node is None or self.node is None:
            return False
        return node is self.node or (self.modality == "MRI" and self.volumes.is_of_study(self.node, node))

    def check(self, node: Any) -> None:
        """Refuse what cannot be talked about, see ``volumes.check_volume``."""
        check_volume(node)

    def take_over(self, node: Any) -> None:
        """Go on with this scan, which must have passed ``check``, and its segments; None for none."""
        self.surfaces.cancel()
        self.heat.hide()
        if node is not self._node:
            self.question_marks.clear()
        self._node, self._told_ml = node, {}
        self.sizes.watch(node)
        if node is None:
            return
        self.modality = self.default_modality or guess_modality(self._scene, node)
        self.volumes.refresh()
        if self.segmentation is not None:
            self.surfaces.build(self.segmentation)

    def kept_conversation(self) -> dict[str, Any] | None:
        """The conversation (``archive.pack``) that is kept with the scan; None where there is none.

        Raises:
            SceneError: it cannot be read.
        """
        return load_conversation(self._scene, self.node) if self.node is not None else None

    @property
    def seen_node(self) -> Any:
        """The volume node in the background of the asked view, None where there is none."""
        return slice_view(self._app_logic, self.asked_view).background

    @property
    def asked_plane(self) -> str:
        """The plane of the asked view, see ``geometry.plane_name``; empty where there is no such view."""
        views = (view for view in slice_views(self._app_logic) if view.name == self.asked_view)
        return next((plane_name(view.xy_to_world) for view in views), "")

    @property
    def facts(self) -> ScanFacts | None:
        """What a report says of the scan; None without one."""
        if self.node is None:
            return None
        size = self.node.GetImageData().GetDimensions()
        return ScanFacts(self.modality, size, self.node.GetSpacing(), self.volumes.hash_of(self.node))

    def capture(self, mode: ViewMode) -> tuple[QuestionImage, ...]:
        """The picture of the asked view as it will be sent, or one of each sequence of its study; as seen
        also those of ``companions``. With a box it shows no more than that.

        Raises:
            SceneError: the view shows no scan, or another one than that which is talked about.
        """
        view = slice_view(self._app_logic, self.asked_view)
        self._check_shown(view)
        seen = self._seen(view, mode)
        if mode == "as_seen":
            seen += self.companions.capture(
                self.node, self.asked_view, self.modality, self._hash(), self.belongs
            )
        return tuple(QuestionImage(one.png, one.geometry) for one in seen)

    def _hash(self) -> str | None:
        return (self.volumes.hash_of(self.node) or None) if self.node is not None else None

    def _seen(self, view: SliceView, mode: ViewMode) -> list[CapturedView]:
        box = self.question_marks.box_to_world
        nodes = [each for _, each in self.volumes.sequences(self.node, self.modality)]
        if len(nodes) > 1:
            return capture_all(view, nodes, self.node, mode, self.modality, box_to_world=box)
        return [capture(view, mode, self.modality, self._hash(), box)]

    def _check_shown(self, view: SliceView) -> None:
        """A picture of one scan must not go out with the voxels of another."""
        shown = view.background
        if self.node is not None and shown is not None and not self.belongs(shown):
            raise SceneError(
                f"The view {view.name} shows '{shown.GetName()}'; "
                f"the conversation is about '{self.node.GetName()}'.",
                "Show that scan in the view, or talk about the other one.",
            )

    def pack_volumes(self) -> Callable[[], PackedScan] | None:
        """Hashes the voxels, once for each scan, see ``AskedVolumes.pack``."""
        return self.volumes.pack(self.node, self.modality) if self.node is not None else None

    @property
    def marks(self) -> Marks:
        """The points and the box that are placed now, in the frame of the scan."""
        if self.node is None:
            return NO_MARKS
        return Marks(self.question_marks.points(self.node), self.question_marks.box(self.node))

    def take_marks(self) -> Marks:
        """The marks, with the segments that they lie in; they leave the views."""
        marks = replace(self.marks, structures=self._structures(self.marks))
        self.question_marks.clear()
        return marks

    def put_marks(self, marks: Marks) -> None:
        """Place marks in the views again."""
        if self.node is not None:
            self.question_marks.put(self.node, marks.points, marks.box)

    def _structures(self, marks: Marks) -> tuple[str, ...]:
        if self.segmentation is None:
            return ()
        to_world = ras_to_world(self.node)
        meant = [transform_point(to_world, point.ras) for point in marks.points if point.is_positive]
        found = (segment_at(self.segmentation, world) for world in meant)
        return tuple(dict.fromkeys(name for name in found if name))

    @property
    def scan_bounds(self) -> tuple[float, ...]:
        """The box around the scan, see ``volumes.volume_bounds``."""
        return volume_bounds(self.node)

    @property
    def surface_bounds(self) -> tuple[float, ...] | None:
        """The box around all surfaces, see ``surfaces.surface_bounds``; None where space is bent."""
        try:
            return surface_bounds(self.segmentation) if self.segmentation is not None else None
        except UnsupportedVolume:
            return None

    def keep_conversation(self, archive: dict[str, Any]) -> None:
        """Keep the conversation in the scene, beside its scan; an empty one is forgotten."""
        if self.node is None:
            return
        if archive["turns"]:
            save_conversation(self._scene, archive, self.node)
        else:
            forget_conversation(self._scene, self.node)
            forget_replaced(self._scene, self.node)

    def show_result(self, turn_id: str, result: ExpertResult, labelmap: NrrdVolume) -> SceneWork:
        """Put an expert's segments on the views, a piece of the work at each ``next``.

        Raises:
            SceneError: the scan was closed, or is another one now: by its voxels, its place or its grid.
            UnsupportedVolume: it is no scan any more.
        """
        if self.node is None:
            raise SceneError("The scan of this question is no longer open.")
        if (yield from self.volumes.changed_in_steps(self.node)):
            raise SceneError(
                f"'{self.node.GetName()}' was changed after the question; the result does not belong to it.",
                "Ask again.",
            )
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
        self._after_change()
        if not edited:
            return None
        question = f"You edited {names} after the answer came, so undoing it left that in place."
        remove = Choice("Remove it too", lambda: self._remove_edited(turn_id))
        return Decision(turn_id, question, (Choice("Keep it"), remove))

    def _whether_to_replace(self, added: Added, origin: Origin) -> Decision | None:
        if not added.edited:
            return None
        question = (
            f"You edited {self._names(added.edited)} of an earlier answer; the new result of {origin.expert} "
            "stands beside it."
        )
        replace_it = Choice("Replace mine", lambda: self._replace_edited(added.edited, origin.turn_id))
        return Decision(origin.turn_id, question, (Choice("Keep both"), replace_it))

    def _replace_edited(self, ids: Sequence[str], turn_id: str) -> SceneWork:
        if self.node is not None:
            yield from self._results.replace_in_steps(self.node, ids, turn_id)
            self._after_change()
        return None

    def _remove_edited(self, turn_id: str) -> SceneWork:
        if self.node is not None:
            yield from self._results.remove_turn_in_steps(self.node, turn_id, keep_edited=False)
            self._after_change()
        return None

    def _names(self, ids: Sequence[str]) -> str:
        names = [segment_of(self.segmentation, one).GetName() for one in ids]
        return ", ".join(f"'{name}'" for name in names)

    def _after_change(self) -> None:
        self.sizes.refresh()
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
        origin, size = read_origin(segment), self.sizes.of(segment_id)
        edited = ", edited" if size is not None and size.edited else ""
        return SegmentRow(
            segment_id,
            segment.GetName(),
            (red, green, blue),
            size.volume_ml if size is not None else self._told_ml.get(segment_id),
            is_visible(node, segment_id),
            f"{origin.expert} {origin.version}{edited}" if origin else "",
            opacity_of(node, segment_id),
            size.longest_mm if size is not None else None,
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
            raise SceneError("There are no segments.", "Ask for a segmentation first.")
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
            raise SceneError(f"No file could be made: {error.strerror}.", "Free some space.") from error
