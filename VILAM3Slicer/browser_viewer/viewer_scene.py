"""The scan on the screen and its segments, as the conversation sees them (``chat.interfaces.Scene``)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from browser_viewer.loading import Scan
from browser_viewer.slicer_views import add_scan
from VILAM3SlicerLib.chat.interfaces import PackedVolume
from VILAM3SlicerLib.chat.report import ScanFacts
from VILAM3SlicerLib.chat.rows import SegmentRow
from VILAM3SlicerLib.chat.turn import QuestionImage
from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.protocol.events import ExpertResult
from VILAM3SlicerLib.protocol.messages import ViewMode
from VILAM3SlicerLib.protocol.nrrd import NrrdVolume
from VILAM3SlicerLib.scene.capture import capture
from VILAM3SlicerLib.scene.conversation_store import forget_conversation, load_conversation, save_conversation
from VILAM3SlicerLib.scene.measurements import Measurement, measure
from VILAM3SlicerLib.scene.modality import guess_modality
from VILAM3SlicerLib.scene.navigation import go_to_segment
from VILAM3SlicerLib.scene.segment_origin import Origin, read_origin
from VILAM3SlicerLib.scene.segmentation import (
    ResultSegments,
    find_segmentation,
    is_visible,
    save_segmentation,
    segment_ids,
    segment_of,
    set_visible,
)
from VILAM3SlicerLib.scene.surfaces import SurfaceJob, segments_without_surface, surface_bounds
from VILAM3SlicerLib.scene.terminology import SlicerTerminology
from VILAM3SlicerLib.scene.views import slice_view
from VILAM3SlicerLib.scene.volumes import hash_volume, nrrd_pieces, read_volume, volume_bounds

_STEP_SECONDS = 0.01


class ViewerScene:
    """One scan at a time, with the segments that experts found in it.

    ``modality`` may be set by the person, ``default_modality`` wins over the guess for each scan opened;
    ``asked_view`` is the slice view whose picture is sent.
    ``on_surface`` is called when the surface of a segment has come and when the last one has, ``on_trouble``
    when none will.
    Results are to be shown on a running event loop: it drives the building of surfaces.
    """

    def __init__(self, scene: Any, app_logic: Any) -> None:
        self.modality = "Unknown"
        self.default_modality = ""
        self.asked_view = "Red"
        self.on_surface: Callable[[], None] = lambda: None
        self.on_trouble: Callable[[SceneError], None] = lambda _error: None
        self._scene = scene
        self._app_logic = app_logic
        self._results = ResultSegments(scene, SlicerTerminology(app_logic))
        self._node: Any = None
        self._packed: PackedVolume | None = None
        self._volumes_ml: dict[str, float] = {}
        self._job: SurfaceJob | None = None
        self._surfaces: asyncio.Task[None] | None = None

    def open(self, scan: Scan) -> Any:
        """Show another scan; the one before and its segments leave the scene. Returns the volume node."""
        node = add_scan(self._scene, scan)
        self._take(node)
        return node

    def take_over(self, node: Any) -> dict[str, Any] | None:
        """Go on with a scan of a saved scene that is in this one now; returns its conversation, if any."""
        self._take(node)
        self._volumes_ml = {one.segment_id: one.volume_ml for one in self.measurements()}
        if self.segmentation is not None:
            self._build_surfaces()
        return load_conversation(self._scene, node)

    def _take(self, node: Any) -> None:
        """Show this scan instead of the one before, which leaves the scene with all that belongs to it."""
        self._cancel_surfaces()
        before = self._node
        if before is not None:
            forget_conversation(self._scene, before)
            transform = before.GetParentTransformNode()
            for old in (find_segmentation(self._scene, before), before, transform):
                if old is not None:
                    self._scene.RemoveNode(old)
        self._node, self._packed, self._volumes_ml = node, None, {}
        self.modality = self.default_modality or guess_modality(self._scene, node)

    @property
    def facts(self) -> ScanFacts | None:
        """What a report says of the scan; None without one."""
        if self._node is None:
            return None
        size = self._node.GetImageData().GetDimensions()
        content_hash = self._packed.sha256 if self._packed else ""
        return ScanFacts(self.modality, size, self._node.GetSpacing(), content_hash)

    def capture(self, mode: ViewMode) -> tuple[QuestionImage, ...]:
        """The picture of the asked view, as it will be sent."""
        view = slice_view(self._app_logic, self.asked_view)
        content_hash = self._packed.sha256 if self._packed else None
        seen = capture(view, mode, self.modality, content_hash)
        return (QuestionImage(seen.png, seen.geometry),)

    def pack_volume(self) -> Callable[[], PackedVolume] | None:
        """Hashes the voxels, once for each scan."""
        if self._node is None:
            return None
        volume = read_volume(self._node)
        node = self._node

        def pack() -> PackedVolume:
            packed = self._packed or PackedVolume(hash_volume(volume), tuple(nrrd_pieces(volume)))
            if node is self._node:
                self._packed = packed
            return packed

        return pack

    @property
    def scan_bounds(self) -> tuple[float, ...]:
        """The box around the scan, see ``volumes.volume_bounds``."""
        return volume_bounds(self._node)

    @property
    def surface_bounds(self) -> tuple[float, ...] | None:
        """The box around all surfaces, see ``surfaces.surface_bounds``."""
        return surface_bounds(self.segmentation) if self.segmentation is not None else None

    @property
    def is_building_surfaces(self) -> bool:
        """Whether surfaces are still to come."""
        return self._job is not None and not self._job.finished

    def keep_conversation(self, archive: dict[str, Any]) -> None:
        """Keep the conversation in the scene, beside its scan; an empty one is forgotten."""
        if self._node is None:
            return
        if archive["turns"]:
            save_conversation(self._scene, archive, self._node)
        else:
            forget_conversation(self._scene, self._node)

    def show_result(self, turn_id: str, result: ExpertResult, labelmap: NrrdVolume) -> Iterator[None]:
        """Put an expert's segments on the views, a piece of the work at each ``next``."""
        if self._node is None:
            raise SceneError("The scan of this question is no longer open.")
        origin = Origin(turn_id, result.expert, result.version)
        ids = yield from self._results.add_in_steps(self._node, labelmap, result.segments, origin)
        self._volumes_ml.update({ids[one.name]: one.volume_ml for one in result.segments if one.name in ids})
        self._build_surfaces()

    def remove_results(self, turn_id: str) -> None:
        """Take back the segments of a turn."""
        if self._node is not None:
            self._results.remove_turn(self._node, turn_id)

    def rows(self) -> list[SegmentRow]:
        """The segments in their order."""
        node = self.segmentation
        return [self._row(node, one) for one in segment_ids(node)] if node is not None else []

    @property
    def segmentation(self) -> Any:
        """The segmentation node of the scan, None while nothing was found."""
        return find_segmentation(self._scene, self._node) if self._node is not None else None

    def _row(self, node: Any, segment_id: str) -> SegmentRow:
        segment = segment_of(node, segment_id)
        red, green, blue = (round(255 * channel) for channel in segment.GetColor())
        origin = read_origin(segment)
        return SegmentRow(
            segment_id,
            segment.GetName(),
            (red, green, blue),
            self._volumes_ml.get(segment_id, 0.0),
            is_visible(node, segment_id),
            f"{origin.expert} {origin.version}" if origin else "",
        )

    def go_to(self, segment_id: str) -> None:
        """Bring the slice views to a segment.

        Raises:
            SceneError: it has no voxels, or is gone.
        """
        go_to_segment(self._app_logic, self.segmentation, segment_id)

    def measurements(self) -> list[Measurement]:
        """The sizes of all segments, counted in the scene."""
        return measure(self.segmentation) if self.segmentation is not None else []

    def toggle(self, segment_id: str) -> None:
        """Show a segment, or hide it."""
        set_visible(self.segmentation, segment_id, not is_visible(self.segmentation, segment_id))

    def show_all(self, visible: bool) -> None:
        """Show all segments, or hide them."""
        for row in self.rows():
            set_visible(self.segmentation, row.segment_id, visible)

    async def surfaces_built(self) -> None:
        """Wait for the surfaces that are being built."""
        if self._surfaces is not None:
            await self._surfaces

    def save_segmentation(self, path: Path) -> None:
        """Write the segments as .seg.nrrd.

        Raises:
            SceneError: there are none, or the file cannot be written.
        """
        if self.segmentation is None:
            raise SceneError("There are no segments to save.", "Ask for a segmentation first.")
        save_segmentation(self._scene, self.segmentation, path)

    def segmentation_file(self) -> bytes:
        """The segments as the bytes of a .seg.nrrd.

        Raises:
            SceneError: see ``save_segmentation``.
        """
        with TemporaryDirectory() as folder:
            path = Path(folder) / "segmentation.seg.nrrd"
            self.save_segmentation(path)
            return path.read_bytes()

    def _build_surfaces(self) -> None:
        self._cancel_surfaces()
        node = self.segmentation
        self._job = SurfaceJob(node, segments_without_surface(node))
        self._surfaces = asyncio.get_running_loop().create_task(self._drive(self._job))

    async def _drive(self, job: SurfaceJob) -> None:
        """Step by step, so that text goes on streaming meanwhile."""
        try:
            await self._finish(job)
            while passed_over := self._passed_over(job):
                job = self._job = SurfaceJob(self.segmentation, passed_over)
                await self._finish(job)
            self.on_surface()
        except SceneError as error:
            self.on_trouble(error)

    async def _finish(self, job: SurfaceJob) -> None:
        while not job.finished:
            if job.step() is not None:
                self.on_surface()
            await asyncio.sleep(_STEP_SECONDS)

    def _passed_over(self, job: SurfaceJob) -> list[str]:
        """Segments that changed while their surface was built; Slicer draws none while one is missing."""
        node = self.segmentation
        missing = segments_without_surface(node) if node is not None else []
        return [segment_id for segment_id in missing if segment_id in job.passed_over]

    def _cancel_surfaces(self) -> None:
        if self._job is not None:
            self._job.cancel()
