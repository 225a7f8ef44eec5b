"""Which scan the conversation is about, and what happens when that scan comes or goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

from VILAM3SlicerLib.chat.archive import Archive, unpack
from VILAM3SlicerLib.chat.presenter import Presenter
from VILAM3SlicerLib.protocol.errors import SceneError, UnsupportedVolume, VilaM3Error
from VILAM3SlicerLib.protocol.phrases import phrases
from VILAM3SlicerLib.scene.conversation_store import discussed_volume, set_conversation_aside
from VILAM3SlicerLib.scene.scan_nodes import check_name
from VILAM3SlicerLib.viewer.scan_scene import ScanScene

_ = phrases(__name__)


class Discussion:
    """Ties a conversation to a scan of the scene: each scan has its own, which is taken up with it.

    ``on_scan`` is called after another scan, or none, was taken up; ``on_trouble`` with what a person should
    be told. The scene is observed: the conversation about a scan that leaves it ends, that of a scene which
    was loaded goes on where there was none.
    """

    def __init__(self, presenter: Presenter, scan: ScanScene, scene: Any) -> None:
        self.on_scan: Callable[[], None] = lambda: None
        self.on_trouble: Callable[[VilaM3Error], None] = lambda _error: None
        self._presenter = presenter
        self._scan = scan
        self._scene = scene
        self._name: str | None = None
        self._refused: Any = None
        self._warned: set[str] = set()
        self._waits = False
        self._lost: SceneError | None = None
        presenter.on_settled = self._when_settled
        presenter.on_trouble = self._tell
        events = slicer.vtkMRMLScene
        self._observers = [
            scene.AddObserver(events.NodeRemovedEvent, self._after_removal),
            scene.AddObserver(events.EndImportEvent, self._after_import),
        ]

    def close(self) -> None:
        """Observe the scene no more. An answer that is on the way is stopped and stays with its scan as far
        as it came, a result that is half in the scene is put there whole."""
        self._presenter.leave(_("Stopped: the viewer was closed."))
        for tag in self._observers:
            self._scene.RemoveObserver(tag)
        self._observers.clear()
        self._scan.close()

    def open(self, node: Any) -> None:
        """Talk about this scan from now on, None for none: its kept conversation goes on, else one begins.

        An answer that is on the way is stopped and stays with its scan as far as it came.

        Raises:
            UnsupportedVolume: it cannot be talked about; the present conversation goes on.
        """
        if node is not None:
            self._scan.check(node)
        self._waits = False
        self._presenter.leave(_("Stopped: another scan was chosen."))
        self._take_up(node)

    def follow_view(self) -> None:
        """Talk about the scan in the background of the asked view, once no answer is on the way.

        To be called after that view, or its background, changed. A view that shows none changes nothing.
        """
        node = self._scan.seen_node
        self._waits = False
        if node is None or self._scan.belongs(node) or node is self._refused:
            return
        if not self._presenter.is_settled:
            self._waits = True
            return
        try:
            self.open(node)
        except UnsupportedVolume as error:
            self._refused = node  # told once, not with each move of the view
            self.on_trouble(error)

    def _take_up(self, node: Any) -> None:
        self._scan.take_over(node)
        self._name = node.GetName() if node is not None else None
        self._refused = None
        kept, trouble = self._kept()
        if kept is not None:
            self._presenter.restore(kept)
            self._scan.recall_modality([turn.question.modality for turn in kept.turns])
        else:
            self._presenter.start_over()
        self.on_scan()
        trouble = trouble or self._farewell(node) or self._name_trouble(node)
        if trouble is not None:
            self.on_trouble(trouble)

    def _farewell(self, node: Any) -> SceneError | None:
        """What was said of the scan before, which is no more: said once more beside the one that follows."""
        lost = self._lost
        if node is not None:
            self._lost = None
        return lost

    def _name_trouble(self, node: Any) -> SceneError | None:
        """What is wrong with the name of a scan, once for each scan."""
        if node is None or node.GetID() in self._warned:
            return None
        try:
            check_name(node)
        except SceneError as error:
            self._warned.add(node.GetID())
            return error
        return None

    def _kept(self) -> tuple[Archive | None, VilaM3Error | None]:
        """The conversation that is kept with the scan; one that cannot be read is set aside, not lost."""
        try:
            data = self._scan.kept_conversation()
            return (unpack(data) if data is not None else None), None
        except VilaM3Error as error:
            set_conversation_aside(self._scene, self._scan.node)
            return None, error

    def _tell(self, error: VilaM3Error) -> None:
        self.on_trouble(error)

    def _when_settled(self) -> None:
        if self._waits:
            self.follow_view()

    def _after_removal(self, *_event: object) -> None:
        if self._refused is not None and self._refused.GetScene() is None:
            self._refused = None  # its voxels are to be freed
        if self._name is None or self._scan.node is not None:
            return
        name, was_running = self._name, self._presenter.running is not None
        self._name = None  # marks and maps of the scan are removed now, which is heard here, too
        self._presenter.leave(_("Stopped: the scan was closed."))
        self._take_up(None)
        if was_running:
            said = _("'{name}' was closed while its answer was on the way.").format(name=name)
            self._lost = SceneError(said, _("Open it again and ask again."))
            self.on_trouble(self._lost)

    def _after_import(self, *_event: object) -> None:
        node = discussed_volume(self._scene) if self._name is None else None
        if node is None:
            return
        try:
            self.open(node)
        except UnsupportedVolume as error:
            self.on_trouble(error)
