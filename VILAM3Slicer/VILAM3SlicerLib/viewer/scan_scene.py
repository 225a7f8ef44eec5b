"""The scan that is talked about and its segments: ``chat.interfaces.Scene`` over MRML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from VILAM3SlicerLib.chat.interfaces import Host, PackedScan, SceneWork
from VILAM3SlicerLib.chat.marks import NO_MARKS, Marks
from VILAM3SlicerLib.chat.mri_study import MriStudy
from VILAM3SlicerLib.chat.report_exports import ScanFacts
from VILAM3SlicerLib.chat.turn import QuestionImage
from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.protocol.events import ExpertResult
from VILAM3SlicerLib.protocol.messages import ViewMode
from VILAM3SlicerLib.protocol.nrrd import NrrdVolume
from VILAM3SlicerLib.protocol.phrases import phrases
from VILAM3SlicerLib.scene.capture import CapturedView, capture, capture_all
from VILAM3SlicerLib.scene.conversation_store import (
    TurnTexts,
    forget_conversation,
    load_conversation,
    save_conversation,
)
from VILAM3SlicerLib.scene.geometry import plane_name, ras_to_world, transform_point
from VILAM3SlicerLib.scene.heat_map import HeatMapOverlay
from VILAM3SlicerLib.scene.modality import UNKNOWN, guess_modality
from VILAM3SlicerLib.scene.question_marks import QuestionMarks
from VILAM3SlicerLib.scene.replaced_segments import forget_replaced
from VILAM3SlicerLib.scene.segments_at import segment_at
from VILAM3SlicerLib.scene.views import SliceView, slice_view, slice_views
from VILAM3SlicerLib.scene.volumes import check_volume, volume_bounds
from VILAM3SlicerLib.viewer.asked_volumes import AskedVolumes
from VILAM3SlicerLib.viewer.companion_views import CompanionViews
from VILAM3SlicerLib.viewer.scan_segments import ScanSegments

_ = phrases(__name__)


class ScanScene(ScanSegments):
    """One scan of a scene, with the segments that experts found in it; nothing else is touched.

    ``modality`` may be set by the person, ``default_modality`` wins over the guess for each scan taken up;
    ``asked_view`` is the slice view whose picture is sent.
    ``heat`` lays the heat map of a finding over the scan.
    ``study``, ``question_marks`` and ``companions`` are what the person may change of the next question.
    """

    def __init__(self, scene: Any, app_logic: Any, host: Host) -> None:
        super().__init__(scene, app_logic, host)
        self.modality = UNKNOWN
        self.default_modality = ""
        self.asked_view = "Red"
        self.volumes = AskedVolumes(scene, host)
        self.question_marks = QuestionMarks(scene, app_logic)
        self.companions = CompanionViews(app_logic)
        self.heat = HeatMapOverlay(scene, app_logic)
        self._turn_texts = TurnTexts()

    @property
    def study(self) -> MriStudy:
        """Which volumes are the sequences of the scan's study."""
        return self.volumes.study

    def close(self) -> None:
        """Observe the scene no more and build no more surfaces."""
        self.surfaces.cancel()
        self.sizes.close()
        self.looks.watch(None)
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
        self.heat.hide()
        if node is not self._node:
            self.question_marks.clear()
        self.take_segments_of(node)
        if node is None:
            self.modality = UNKNOWN
            return
        self.modality = self.default_modality or guess_modality(self._scene, node)
        self.volumes.refresh()

    def recall_modality(self, asked: Sequence[str]) -> None:
        """Go on with the kind of image that questions were asked about last; it may be the person's word."""
        if asked and not self.default_modality:
            self.modality = asked[-1]

    def kept_conversation(self) -> dict[str, Any] | None:
        """The conversation (``archive.Packer``) that is kept with the scan; None where there is none.

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
        return tuple(QuestionImage(one.png, one.geometry, one.name) for one in seen)

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
                _("The view {view} shows '{shown}'; the conversation is about '{asked}'.").format(
                    view=view.name, shown=shown.GetName(), asked=self.node.GetName()
                ),
                _("Show that scan in the view, or talk about the other one."),
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

    def keep_conversation(self, archive: dict[str, Any]) -> None:
        """Keep the conversation in the scene, beside its scan; an empty one is forgotten."""
        if self.node is None:
            return
        if archive["turns"]:
            save_conversation(self._scene, archive, self.node, self._turn_texts)
        else:
            forget_conversation(self._scene, self.node)
            forget_replaced(self._scene, self.node)

    def remove_results(self, turn_id: str) -> SceneWork:
        """See ``ScanSegments``; a heat map of the turn goes too."""
        self.heat.hide_of(turn_id)
        return (yield from super().remove_results(turn_id))

    def show_result(self, turn_id: str, result: ExpertResult, labelmap: NrrdVolume) -> SceneWork:
        """Put an expert's segments on the views, a piece of the work at each ``next``.

        Raises:
            SceneError: the scan was closed, or is another one now: by its voxels, its place or its grid.
            UnsupportedVolume: it is no scan any more.
        """
        node = self.node
        if node is not None and (yield from self.volumes.changed_in_steps(node)):
            raise SceneError(
                _("'{name}' was changed after the question; the result does not belong to it.").format(
                    name=node.GetName()
                ),
                _("Ask again."),
            )
        return (yield from self.add_result(turn_id, result, labelmap))
