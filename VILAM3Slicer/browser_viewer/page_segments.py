"""What the person does with segments on the page, and what is asked about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from browser_viewer.page_rows import Row
from VILAM3SlicerLib.chat.presenter import Presenter
from VILAM3SlicerLib.viewer.scan_scene import ScanScene


class SegmentActions:
    """The page's actions on segments; ``show`` is called after each."""

    def __init__(self, presenter: Presenter, scene: ScanScene, show: Callable[[], None]) -> None:
        self._presenter = presenter
        self._scene = scene
        self._show = show

    @property
    def triggers(self) -> dict[str, Callable[..., None]]:
        """The actions by the names under which the templates call them."""
        return {
            "go_to": self._then_show(self._scene.go_to),
            "go_to_name": self._then_show(self._scene.go_to_name),
            "toggle": self._then_show(self._scene.toggle),
            "show_all": self._then_show(self._scene.show_all),
            "set_opacity": self._then_show(self._set_opacity),
            "replace_earlier": self._then_show(self._replace_earlier),
            "decide": self._then_show(self._decide),
        }

    def decision_rows(self) -> list[Row]:
        """What the person is asked now."""
        return [
            {"question": one.question, "choices": [choice.text for choice in one.choices]}
            for one in self._presenter.decisions
        ]

    def _then_show(self, action: Callable[..., None]) -> Callable[..., None]:
        def act(*arguments: Any) -> None:
            action(*arguments)
            self._show()

        return act

    def _set_opacity(self, segment_id: str, percent: str | float) -> None:
        self._scene.set_opacity(segment_id, float(percent) / 100)

    def _replace_earlier(self, replace: bool) -> None:
        self._scene.replaces_earlier = bool(replace)

    def _decide(self, place: int, choice: int) -> None:
        if place < len(self._presenter.decisions):
            decision = self._presenter.decisions[place]
            self._presenter.decide(decision, decision.choices[choice])
