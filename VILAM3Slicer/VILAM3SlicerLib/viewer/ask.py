"""Asking about a volume from a script or a notebook, without a panel: it waits for the answer.

    text, segmentation = ask(slicer.mrmlScene, slicer.app.applicationLogic(), volume, "Segment the lungs.")

The segments are in the scene as if the panel had asked; the conversation is the script's alone and is not
kept with the scene.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from VILAM3SlicerLib.chat.interfaces import Host
from VILAM3SlicerLib.chat.presenter import Presenter
from VILAM3SlicerLib.chat.turn import QuestionImage, Turn
from VILAM3SlicerLib.connection.address import DEFAULT_PORT, BackendAddress, read_address
from VILAM3SlicerLib.connection.blocking_http import BlockingHost, BlockingHttp
from VILAM3SlicerLib.connection.consent import ScanGate
from VILAM3SlicerLib.connection.readiness import ReadinessWatch
from VILAM3SlicerLib.connection.transport import BackendTransport
from VILAM3SlicerLib.protocol.errors import SceneError, VilaM3Error, error_from_json
from VILAM3SlicerLib.protocol.messages import BackendStatus, ViewMode
from VILAM3SlicerLib.protocol.phrases import phrases
from VILAM3SlicerLib.scene.capture import capture_slice
from VILAM3SlicerLib.scene.geometry import ijk_to_ras, ras_to_world, transform_point
from VILAM3SlicerLib.scene.views import slice_views
from VILAM3SlicerLib.viewer.scan_scene import ScanScene

_ = phrases(__name__)

DEFAULT_BACKEND = f"http://127.0.0.1:{DEFAULT_PORT}"


class ScriptAnswer(NamedTuple):
    """What the model said, and the scan's ``vtkMRMLSegmentationNode`` (None where there are no segments)."""

    text: str
    segmentation: Any


class NamedByTheScript:
    """Implements ``ScanGate``: who writes the address into a script wants the scan to go there."""

    def require(self, address: BackendAddress) -> None:
        """Let it pass."""


class ScriptedConversation:
    """Several questions about one volume; each waits for its answer.

    Args:
        volume_node: the scan. It needs no view: of CT and MRI the model sees the whole axial slice.
        backend: where the backend listens.
        key: its key, else the environment's VILAM3_KEY.
        ca_file: certificates to trust for https, None for the system's.
        modality: CT, MRI, CXR, US; as the scan says if left out.
        while_waiting: called again and again while it waits, such as ``slicer.app.processEvents``.
        gate: whether a scan may go to the backend; by default the script's author has decided that.

    Raises:
        UnsupportedVolume: the volume cannot be talked about.
        ConnectionLost: nobody answers there.
        VilaM3Error: the backend cannot be used.
    """

    def __init__(
        self,
        scene: Any,
        app_logic: Any,
        volume_node: Any,
        *,
        backend: str = DEFAULT_BACKEND,
        key: str | None = None,
        ca_file: str | None = None,
        modality: str = "",
        while_waiting: Callable[[], None] = lambda: None,
        gate: ScanGate | None = None,
    ) -> None:
        self._host = BlockingHost(while_waiting)
        self._scan = _AskedVolume(scene, app_logic, self._host)
        try:
            self._scan.check(volume_node)
            self._scan.default_modality = modality
            self._scan.take_over(volume_node)
            key = os.environ.get("VILAM3_KEY", "") if key is None else key
            address = read_address(backend)
            http = BlockingHttp(address, gate or NamedByTheScript(), key, self._host, ca_file=ca_file)
            self._transport = BackendTransport(http)
            self._presenter = Presenter(self._transport, self._scan, self._host)
            status = _wait_until_ready(self._transport, self._host)
        except VilaM3Error:
            self._scan.close()
            raise
        self._presenter.max_question = status.max_prompt_characters or self._presenter.max_question
        self._presenter.model = status.model

    @property
    def turns(self) -> tuple[Turn, ...]:
        """All that was asked, with everything that the model was given and what experts returned."""
        return self._presenter.turns

    def ask(
        self, question: str, *, view: str = "", at: Sequence[float] | None = None, surfaces: bool = True
    ) -> ScriptAnswer:
        """Ask, and wait for answer, segments, sizes and surfaces.

        Args:
            view: name of a slice view, such as Red: the model sees what is seen there.
            at: where the axial slice is taken, world RAS in mm; the middle of the volume if left out.
            surfaces: whether to wait for the surfaces in 3D; without, none are built.

        Raises:
            VilaM3Error: the question cannot be asked, or its answer failed.
        """
        mode = self._scan.look_at(view, at)
        turn = self._presenter.ask(question, self._scan.modality, mode)
        self._host.run(until=lambda: self._presenter.is_settled)
        if not surfaces:
            self._scan.surfaces.cancel()
        self._host.run(until=lambda: not (self._scan.surfaces.is_running or self._scan.sizes.is_measuring))
        return self._answer(turn.turn_id)

    def close(self) -> None:
        """Observe the scene no more and end what is still being sent or read; the segments stay."""
        self._transport.close()
        self._scan.close()

    def _answer(self, turn_id: str) -> ScriptAnswer:
        turn = self._presenter.turn(turn_id)
        if turn is None:
            raise SceneError(_("The question was taken back."))
        if turn.error is not None:
            raise error_from_json(turn.error.to_json())
        if turn.answer is None:
            raise VilaM3Error(f"The answer was not completed. {turn.activity}".strip(), _("Ask again."))
        if self._scan.node is None:
            raise SceneError(
                _("The scan was closed before its answer was complete."), _("Open it and ask again.")
            )
        return ScriptAnswer(turn.text, self._scan.segmentation)


def ask(
    scene: Any, app_logic: Any, volume_node: Any, question: str, *, view: str = "", **options: Any
) -> ScriptAnswer:
    """Ask one question about a volume; ``options`` are those of ``ScriptedConversation``.

    Raises:
        VilaM3Error: see there, and ``ScriptedConversation.ask``.
    """
    conversation = ScriptedConversation(scene, app_logic, volume_node, **options)
    try:
        return conversation.ask(question, view=view)
    finally:
        conversation.close()


class _AskedVolume(ScanScene):
    """A scan that needs no view to be asked about."""

    def __init__(self, scene: Any, app_logic: Any, host: Host) -> None:
        super().__init__(scene, app_logic, host)
        self._views = slice_views(app_logic)
        self._needs_view = False
        self._at: Sequence[float] | None = None

    def look_at(self, view: str, at: Sequence[float] | None) -> ViewMode:
        """Choose the picture of the next question; the mode to ask in.

        Raises:
            SceneError: only CT and MRI have an axial slice to show, and no view shows the volume.
        """
        self._needs_view = bool(view) or self.modality not in ("CT", "MRI")
        self._at = at
        if not self._needs_view:
            return "published"
        showing = [one.name for one in self._views if one.background is self.node]
        if not view and not showing:
            raise SceneError(
                _("No view shows '{name}', and only CT and MRI can be asked about without.").format(
                    name=self.node.GetName()
                ),
                _("Show it in a slice view, or say modality='CT' or 'MRI' if it is one."),
            )
        self.asked_view = view or showing[0]
        return "as_seen"

    def capture(self, mode: ViewMode) -> tuple[QuestionImage, ...]:
        """The picture of the view, or the whole axial slice of the volume or of each of its sequences."""
        if self._needs_view:
            return super().capture(mode)
        world = self._at if self._at is not None else self._middle()
        nodes = [each for _, each in self.volumes.sequences(self.node, self.modality)] or [self.node]
        seen = [capture_slice(each, self.node, world, self.modality) for each in nodes]
        return tuple(QuestionImage(one.png, one.geometry, one.name) for one in seen)

    def keep_conversation(self, archive: dict[str, Any]) -> None:
        """The conversation is the script's: that of the panel about the same scan is left alone."""

    def _middle(self) -> tuple[float, float, float]:
        i, j, k = ((size - 1) / 2 for size in self.node.GetImageData().GetDimensions())
        return transform_point(ras_to_world(self.node) @ ijk_to_ras(self.node), (i, j, k))


def _wait_until_ready(transport: BackendTransport, host: BlockingHost) -> BackendStatus:
    told: list[BackendStatus | VilaM3Error] = []
    ReadinessWatch(transport, host, on_wait=lambda _: None, on_ready=told.append, on_error=told.append)
    host.run(until=lambda: bool(told))
    if isinstance(told[0], VilaM3Error):
        raise told[0]
    return told[0]
