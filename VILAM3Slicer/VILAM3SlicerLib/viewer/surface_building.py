"""Building the surfaces of a segmentation on the event loop of the front end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from VILAM3SlicerLib.chat.interfaces import Host
from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.scene.surfaces import SurfaceJob, segments_without_surface

STEP_SECONDS = 0.01


class SurfaceBuilding:
    """Builds step by step, so that text goes on streaming and views go on turning meanwhile.

    ``on_surface`` is called when the surface of a segment has come and when the last one has, ``on_trouble``
    when none will.
    """

    def __init__(self, host: Host) -> None:
        self.on_surface: Callable[[], None] = lambda: None
        self.on_trouble: Callable[[SceneError], None] = lambda _error: None
        self._host = host
        self._node: Any = None
        self._job: SurfaceJob | None = None
        self._waiting: list[Callable[[], None]] = []

    @property
    def is_running(self) -> bool:
        """Whether surfaces are still to come."""
        return self._job is not None

    def build(self, segmentation_node: Any) -> None:
        """Begin with all segments that have no surface yet; what was being built is begun anew."""
        self.cancel()
        self._node = segmentation_node
        self._begin(segments_without_surface(segmentation_node))

    def cancel(self) -> None:
        """Build no more; surfaces that came stay."""
        if self._job is not None:
            self._job.cancel()
            self._job = None

    def when_done(self, action: Callable[[], None]) -> None:
        """Call ``action`` once when nothing is being built, at once where that is so now."""
        self._waiting.append(action)
        self._tell_waiting()

    def _begin(self, ids: Sequence[str]) -> None:
        self._job = job = SurfaceJob(self._node, ids)
        self._host.later(0.0, lambda: self._go_on(job))

    def _go_on(self, job: SurfaceJob) -> None:
        if job is not self._job:
            return
        try:
            came = job.step() is not None
        except SceneError as error:
            self._end()
            self.on_trouble(error)
            return
        if came:
            self.on_surface()
        if not job.finished:
            self._host.later(STEP_SECONDS, lambda: self._go_on(job))
        elif passed_over := self._passed_over(job):
            self._begin(passed_over)
        else:
            self._end()
            self.on_surface()

    def _passed_over(self, job: SurfaceJob) -> list[str]:
        """Segments that changed while their surface was built; Slicer draws none while one is missing."""
        return [one for one in segments_without_surface(self._node) if one in job.passed_over]

    def _end(self) -> None:
        self._job = None
        self._tell_waiting()

    def _tell_waiting(self) -> None:
        while not self.is_running and self._waiting:
            self._waiting.pop(0)()
