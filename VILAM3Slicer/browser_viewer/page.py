"""The page's logic: what the person does goes to the conversation, what changes goes to the templates."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from browser_viewer.backend_client import BackendClient
from browser_viewer.page_downloads import Downloads, SaveScene
from browser_viewer.page_question import QuestionTools
from browser_viewer.page_report import ReportActions
from browser_viewer.page_rows import backend_row, page_row, segment_rows
from browser_viewer.page_segments import SegmentActions
from browser_viewer.view_grid import ViewGrid
from VILAM3SlicerLib.chat.behind import behind_row
from VILAM3SlicerLib.chat.examples import example_questions
from VILAM3SlicerLib.chat.images import data_url
from VILAM3SlicerLib.chat.interfaces import Host
from VILAM3SlicerLib.chat.presenter import Presenter
from VILAM3SlicerLib.chat.rows import images_caption
from VILAM3SlicerLib.chat.turn_rows import TurnRows
from VILAM3SlicerLib.chat.view_mode import default_mode
from VILAM3SlicerLib.protocol.errors import UnsupportedVolume, VilaM3Error
from VILAM3SlicerLib.protocol.messages import BackendStatus
from VILAM3SlicerLib.scene.camera import FirstLook
from VILAM3SlicerLib.scene.flat_scans import view_of
from VILAM3SlicerLib.scene.modality import MODALITIES
from VILAM3SlicerLib.scene.scan_removal import remove_scan
from VILAM3SlicerLib.scene.volumes import volume_nodes
from VILAM3SlicerLib.viewer.discussion import Discussion
from VILAM3SlicerLib.viewer.report_desk import ReportDesk
from VILAM3SlicerLib.viewer.scan_scene import ScanScene
from VILAM3SlicerLib.viewer.shown_finding import Shown, ShownFinding

REFRESH_SECONDS = 0.05
TICK_SECONDS = 0.5
STATUS_SECONDS = 5.0


class ViewerPage:
    """One page about one scan. ``start`` is to be called once the event loop runs."""

    def __init__(
        self,
        server: Any,
        host: Host,
        mrml_scene: Any,
        *,
        scene: ScanScene,
        views: ViewGrid,
        client: BackendClient,
        save_scene: SaveScene,
    ) -> None:
        self._server = server
        self._state = server.state
        self._mrml_scene = mrml_scene
        self._scene = scene
        self._views = views
        self._client = client
        self._host = host
        self._presenter = Presenter(client, scene, host)
        self._discussion = Discussion(self._presenter, scene, mrml_scene)
        self._downloads = Downloads(server, self._presenter, scene, save_scene)
        self._segments = SegmentActions(self._presenter, scene, self._show_changes)
        self._finding = ShownFinding(self._presenter, scene)
        self._tools = QuestionTools(server.state, scene, views)
        self._desk = ReportDesk(self._presenter, scene, mrml_scene)
        self._report = ReportActions(self._desk)
        self._rows = TurnRows()
        self._first_look = FirstLook(views.camera)
        self._status: BackendStatus | None = None
        self._refresh_planned = False
        self._seen_planned = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._listen()
        self._fill_state()
        self._connect()

    def _listen(self) -> None:
        """Hear of what changes beside the person's clicks."""
        self._presenter.on_change = self._plan_refresh
        self._tools.on_change = self._plan_seen
        self._discussion.on_scan = self._show_scan
        self._discussion.on_trouble = self._tell_error
        self._desk.on_change = self._plan_refresh
        self._scene.sizes.on_change = self._plan_refresh
        self._scene.surfaces.on_surface = self._show_surface
        self._scene.surfaces.on_trouble = self._tell_error

    def start(self) -> None:
        """Begin to watch the views, the backend and the clock."""
        self._views.on_slice_change(self._plan_seen)
        self._state.change("mode", "asked_view", "modality")(self._on_choice)
        for work in (self._watch_backend(), self._tick()):
            self._spawn(work)

    def show(self, nodes: Sequence[Any]) -> None:
        """Talk about the first of these scans; all before leave with their segments and conversations.

        Raises:
            UnsupportedVolume: it cannot be talked about and they leave the scene; what was there stays.
        """
        new = {node.GetID() for node in nodes}
        try:
            self._discussion.open(nodes[0])
        except UnsupportedVolume:
            for node in nodes:
                remove_scan(self._mrml_scene, node)
            raise
        for before in volume_nodes(self._mrml_scene):
            if before.GetID() not in new:
                remove_scan(self._mrml_scene, before)

    def _show_scan(self) -> None:
        node = self._scene.node
        self._views.show(node)
        self._first_look.face(self._scene.scan_bounds)
        facts = self._scene.facts
        size = " × ".join(str(count) for count in facts.size) if facts else ""
        spacing = " × ".join(f"{length:.2g}" for length in facts.spacing) if facts else ""
        with self._state as state:
            state.scan = {"name": node.GetName(), "facts": f"{size} voxels, {spacing} mm"}
            state.modality = self._scene.modality
            state.asked_view = self._scene.asked_view = view_of(node)
            state.alert = None
        self._tools.refresh()
        self._plan_refresh()
        self._plan_seen()

    def _fill_state(self) -> None:
        self._state.update(
            {
                "scan": {"name": "", "facts": ""},
                "turns": [],
                "segments": [],
                "decisions": [],
                "report": self._report.rows(),
                "panel": "chat",
                "replaces_earlier": self._scene.replaces_earlier,
                "building_surfaces": False,
                "allowed": {"ask": True, "stop": False, "undo": False},
                "seen": {"url": "", "others": [], "caption": ""},
                "question": "",
                "mode": "as_seen",
                "asked_view": "Red",
                "modality": "CT",
                "modalities": list(MODALITIES),
                "examples": [],
                "alert": None,
                "behind": None,
                "heat": page_row(Shown()),
                "show_seen": False,
                "backend": {**backend_row(None), "size": 0},
            }
        )

    def _connect(self) -> None:
        actions: dict[str, Callable[..., Any]] = {
            "ask": self._ask,
            "ask_again": self._ask_again,
            "stop": self._presenter.stop,
            "undo": self._undo,
            **self._segments.triggers,
            "behind": self._behind,
            "heat": self._heat,
            **self._report.triggers,
            "segmentation": self._downloads.segmentation,
            "transcript": self._downloads.transcript,
            "scene": self._downloads.scene,
            **self._tools.actions,
        }
        for name, action in actions.items():
            self._server.trigger(name)(self._guarded(action))

    def _guarded(self, action: Callable[..., Any]) -> Callable[..., Any]:
        """An action whose errors become a message beside the question."""

        def act(*arguments: Any) -> Any:
            try:
                outcome = action(*arguments)
                self._tell(None)
                return outcome
            except VilaM3Error as error:
                self._tell_error(error)
                return None

        return act

    def _tell_error(self, error: VilaM3Error) -> None:
        self._tell({"message": error.message, "hint": error.hint})

    def _tell(self, alert: dict[str, str] | None) -> None:
        with self._state as state:
            state.alert = alert

    def _ask(self, text: str) -> None:
        self._presenter.ask(text, self._state.modality, self._state.mode)
        with self._state as state:
            state.question = ""

    def _ask_again(self, turn_id: str) -> None:
        self._presenter.ask_again(turn_id, self._state.modality, self._state.mode)

    def _undo(self) -> None:
        turn = self._presenter.undo()
        if turn is not None and not self._state.question:
            with self._state as state:
                state.question = turn.question.text
        self._views.redraw()

    def _show_changes(self) -> None:
        self._plan_refresh()
        self._views.redraw()

    def _heat(self, turn_id: str, finding: str) -> None:
        self._finding.toggle(turn_id, finding)
        self._plan_refresh()
        self._views.redraw()

    def _show_surface(self) -> None:
        bounds = self._scene.surface_bounds
        if bounds is not None and not self._scene.surfaces.is_running:
            self._first_look.come_closer(bounds)
        self._views.redraw()
        self._plan_refresh()

    def _behind(self, turn_id: str) -> None:
        turn = self._presenter.turn(turn_id)
        if turn is not None:
            with self._state as state:
                state.behind = page_row(behind_row(turn, self._presenter.shelf))

    def _on_choice(self, **_: Any) -> None:
        self._scene.modality = self._state.modality
        self._scene.asked_view = self._state.asked_view
        self._tools.refresh()
        self._plan_seen()

    def _plan_refresh(self) -> None:
        """Show changes soon, many at once: text comes faster than a page can follow."""
        if not self._refresh_planned:
            self._refresh_planned = True
            self._host.later(REFRESH_SECONDS, self._refresh)

    def _refresh(self) -> None:
        self._refresh_planned = False
        rows = self._scene.rows()
        allowed = self._presenter.allowed
        self._desk.refresh()
        with self._state as state:
            state.report = self._report.rows()
            now = self._host.now()
            state.turns = [page_row(row) for row in self._rows.of(self._presenter.turns, rows, now)]
            state.segments = segment_rows(rows)
            state.decisions = self._segments.decision_rows()
            state.replaces_earlier = self._scene.replaces_earlier
            state.heat = page_row(self._finding.shown)
            state.building_surfaces = self._scene.surfaces.is_running
            state.allowed = {"ask": allowed.ask, "stop": allowed.stop, "undo": allowed.undo}

    def _plan_seen(self) -> None:
        if not self._seen_planned:
            self._seen_planned = True
            self._host.later(0.15, self._show_seen)

    def _show_seen(self) -> None:
        """The very image that a question asked now would carry."""
        self._seen_planned = False
        try:
            images = self._scene.capture(self._state.mode)
        except VilaM3Error as error:
            seen = {"url": "", "others": [], "caption": error.message}
        else:
            first, *others = [data_url(image.png) for image in images]
            seen = {"url": first, "others": others, "caption": images_caption(images)}
        with self._state as state:
            state.seen = seen

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            if self._presenter.running is not None:
                self._plan_refresh()

    async def _watch_backend(self) -> None:
        while True:
            trouble = ""
            try:
                status = await self._client.ask_status()
                self._meet(status)
                if status.readiness != "ready":
                    trouble = status.detail or "The model is loading"
            except VilaM3Error as error:
                trouble = error.message
            self._show_backend(trouble)
            await asyncio.sleep(STATUS_SECONDS)

    def _meet(self, status: BackendStatus) -> None:
        """Take over what the backend says of itself; another model may need another image."""
        known = self._status.model if self._status else None
        self._status, self._presenter.model = status, status.model
        self._presenter.max_question = status.max_prompt_characters or self._presenter.max_question
        if status.model is not None and status.model != known:
            with self._state as state:
                state.mode = default_mode(status.model, state.modality, self._scene.asked_plane)

    def _show_backend(self, trouble: str) -> None:
        model = self._status.model if self._status else None
        row = {**backend_row(self._status, trouble), "size": model.image_size if model else 0}
        with self._state as state:
            state.backend = row
            experts = self._status.experts if self._status else ()
            state.examples = list(example_questions(state.modality, experts))

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
