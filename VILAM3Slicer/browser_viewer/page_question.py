"""What the page attaches to the next question: points, a box, and which volume is which MRI sequence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from browser_viewer.view_grid import ViewGrid
from VILAM3SlicerLib.chat.marks import MarkKind, mark_rows
from VILAM3SlicerLib.protocol.errors import UnsupportedVolume
from VILAM3SlicerLib.protocol.messages import MriRole
from VILAM3SlicerLib.viewer.scan_scene import ScanScene

Action = Callable[..., Any]


class QuestionTools:
    """Keeps the page's chips, buttons and table in step with the scene.

    ``on_change`` is called when a question asked now would take something else along.
    """

    def __init__(self, state: Any, scene: ScanScene, views: ViewGrid) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._state = state
        self._scene = scene
        self._views = views
        scene.question_marks.on_change = self._after_change
        scene.study.on_change = self._after_change
        self.refresh()

    @property
    def actions(self) -> dict[str, Action]:
        """What the page's buttons call."""
        return {
            "place": self._place,
            "remove_mark": self._remove,
            "choose_sequence": self._choose,
            "confirm_study": self._scene.study.confirm,
            "show_sequence": self._show,
        }

    def refresh(self) -> None:
        """Show what is attached now."""
        with self._state as state:
            state.marks = self._marks()
            state.placing = self._scene.question_marks.placing
            state.study = self._study()

    def _marks(self) -> list[dict[str, Any]]:
        try:
            return [asdict(row) for row in mark_rows(self._scene.marks)]
        except UnsupportedVolume:  # the scan was put under a transform that bends space: asking tells of it
            return []

    def _study(self) -> dict[str, Any]:
        study, node = self._scene.study, self._scene.node
        return {
            "shown": study.is_useful and node is not None and self._scene.modality == "MRI",
            "rows": [asdict(row) for row in study.rows],
            "choices": [{"key": key, "text": text} for key, text in study.choices],
            "message": study.message,
            "confirmed": study.is_confirmed,
            "asked": node.GetID() if node is not None else "",
        }

    def _place(self, kind: MarkKind) -> None:
        """Begin to place this kind, or end it where it is being placed."""
        marks = self._scene.question_marks
        if marks.placing == kind:
            marks.stop_placing()
        else:
            marks.start_placing(kind)

    def _remove(self, kind: MarkKind, index: int) -> None:
        marks = self._scene.question_marks
        if kind == "box":
            marks.remove_box()
        else:
            marks.remove_point(index)
        self._views.redraw()

    def _choose(self, role: MriRole, key: str) -> None:
        self._scene.study.choose(role, key)

    def _show(self, key: str) -> None:
        node = self._scene.volumes.node(key)
        if node is not None:
            self._views.set_background(node)

    def _after_change(self) -> None:
        self.refresh()
        self._views.redraw()
        self.on_change()
