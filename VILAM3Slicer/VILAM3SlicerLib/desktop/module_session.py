"""What stands behind the panels: one connection, the scan on the screen and the conversation about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

from VILAM3SlicerLib.chat.presenter import Presenter
from VILAM3SlicerLib.chat.view_mode import default_mode
from VILAM3SlicerLib.connection.connection import Connection
from VILAM3SlicerLib.desktop.host import QtHost
from VILAM3SlicerLib.desktop.threed_view import SurfacesInSight
from VILAM3SlicerLib.protocol.errors import VilaM3Error
from VILAM3SlicerLib.protocol.messages import ModelDescription, ViewMode
from VILAM3SlicerLib.scene.flat_scans import is_flat, view_of
from VILAM3SlicerLib.scene.stored_range import tell_from_database
from VILAM3SlicerLib.scene.view_watch import ViewWatch
from VILAM3SlicerLib.viewer.discussion import Discussion
from VILAM3SlicerLib.viewer.report_desk import ReportDesk
from VILAM3SlicerLib.viewer.scan_scene import ScanScene
from VILAM3SlicerLib.viewer.shown_finding import ShownFinding

_REFRESH_SECONDS = 0.05
_TICK_SECONDS = 0.5


class ModuleSession:
    """Puts the parts together and tells the panels when to look again.

    Set by the panels: ``on_refresh`` (something changed; called at most every 50 ms), ``on_views`` (a slice
    view shows something else), ``on_model`` (another model answers; gets the mode it is shown images in),
    ``on_scan`` (another scan is talked about), ``on_trouble`` (something went wrong outside a click),
    ``show_behind`` (show this turn from behind), ``show_backend`` (show what can be done about the backend).
    """

    def __init__(self, scene: Any, app_logic: Any, connection: Connection, host: QtHost) -> None:
        self.app_logic = app_logic
        self.connection = connection
        self.host = host
        self.scan_scene = ScanScene(scene, app_logic, host)
        self.presenter = Presenter(connection.transport, self.scan_scene, host)
        self.discussion = Discussion(self.presenter, self.scan_scene, scene)
        self.report = ReportDesk(self.presenter, self.scan_scene, scene)
        self.finding = ShownFinding(self.presenter, self.scan_scene)
        self.on_refresh: Callable[[], None] = lambda: None
        self.on_views: Callable[[], None] = lambda: None
        self.on_model: Callable[[ViewMode], None] = lambda _mode: None
        self.on_scan: Callable[[], None] = lambda: None
        self.on_trouble: Callable[[VilaM3Error], None] = lambda _error: None
        self.show_behind: Callable[[str], None] = lambda _turn_id: None
        self.show_backend: Callable[[], None] = lambda: None
        self._model: ModelDescription | None = None
        self._flat_view = ""
        self._planned = False
        self._views_changed = False
        self._ticking = False
        self._closed = False
        self._watch = ViewWatch(app_logic, self._note_views)
        self._threed = SurfacesInSight(self.scan_scene)
        self.presenter.on_change = self.plan_refresh
        self.scan_scene.surfaces.on_surface = self._note_surface
        self.scan_scene.sizes.on_change = self.plan_refresh
        self.scan_scene.looks.on_change = self.plan_refresh
        self.scan_scene.surfaces.on_trouble = self._tell
        self.discussion.on_scan = self._note_scan
        self.discussion.on_trouble = self._tell
        self._unlisten = connection.listen(self._meet)

    @property
    def model(self) -> ModelDescription | None:
        """The model that answers, as far as it is known."""
        return self._model

    def open(self) -> None:
        """Look for the backend and for the scan on the screen."""
        self.connection.open()
        self._note_views()

    def close(self) -> None:
        """End everything that goes on by itself."""
        self._closed = True
        self._unlisten()
        self._watch.close()
        self.discussion.close()
        self.connection.close()
        self.host.close()

    def show(self, node: Any) -> None:
        """Bring a scan into all slice views, so that it is the one talked about."""
        if node is not None and node is not self.scan_scene.node:
            selection = self.app_logic.GetSelectionNode()
            selection.SetActiveVolumeID(node.GetID())
            self.app_logic.PropagateVolumeSelection(1)

    def ask_about(self, view: str) -> None:
        """Let questions be about this slice view."""
        if view != self.scan_scene.asked_view:
            self.scan_scene.asked_view = view
            self._choose_mode()
        self._note_views()

    def set_modality(self, modality: str) -> None:
        """Take the person's word for what kind of image the scan is."""
        if modality != self.scan_scene.modality:
            self.scan_scene.modality = modality
            self._choose_mode()
            self._note_views()

    def go_to_name(self, name: str) -> None:
        """Bring the views to the segment of this name.

        Raises:
            SceneError: it is gone, or empty.
        """
        self.scan_scene.go_to_name(name)

    def plan_refresh(self) -> None:
        """Let the panels look again soon, once for many changes."""
        if not self._planned and not self._closed:
            self._planned = True
            self.host.later(_REFRESH_SECONDS, self._refresh)

    def _refresh(self) -> None:
        self._planned = False
        if self._closed:
            return
        if self._views_changed:
            self._views_changed = False
            self.discussion.follow_view()
            self.on_views()
        self.on_refresh()
        if self.presenter.running is not None and not self._ticking:
            self._ticking = True
            self.host.later(_TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        """Times go on while nothing else happens."""
        self._ticking = False
        self.plan_refresh()

    def _note_views(self) -> None:
        self._views_changed = True
        self.plan_refresh()

    def _tell(self, error: VilaM3Error) -> None:
        self.on_trouble(error)

    def _note_scan(self) -> None:
        if self.scan_scene.node is not None:
            self._note_files(self.scan_scene.node)
        self._choose_mode()
        self.on_scan()
        self._note_views()
        self._threed.note_scan()

    def _note_files(self, node: Any) -> None:
        """What a radiograph could have held, and which view shows a scan of one slice from the front."""
        database = getattr(slicer, "dicomDatabase", None)
        if database is not None:
            tell_from_database(node, database.instanceValue)
        if is_flat(node):
            self.scan_scene.asked_view = self._flat_view = view_of(node)
        elif self.scan_scene.asked_view == self._flat_view:  # it was not the person's choice
            self.scan_scene.asked_view, self._flat_view = view_of(node), ""

    def _note_surface(self) -> None:
        self._threed.note_surface()
        self.plan_refresh()

    def _meet(self) -> None:
        """Take over what the backend says of itself; another model may need another image."""
        status = self.connection.state.status
        if status is not None:
            self.presenter.max_question = status.max_prompt_characters or self.presenter.max_question
            if status.model is not None and status.model != self._model:
                self._model = self.presenter.model = status.model
                self._choose_mode()
        self.plan_refresh()

    def _choose_mode(self) -> None:
        self.on_model(default_mode(self._model, self.scan_scene.modality, self.scan_scene.asked_plane))
