"""Noticing that a slice view shows something else: moved, zoomed, another window, another scan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vtkmodules.vtkCommonCore import vtkCommand

from VILAM3SlicerLib.scene.views import slice_views


class ViewWatch:
    """Calls ``on_change`` whenever what any slice view shows changes, often many times at once.

    A view that is added later is watched from the next ``renew`` on.
    """

    def __init__(self, app_logic: Any, on_change: Callable[[], None]) -> None:
        self._app_logic = app_logic
        self._on_change = on_change
        self._watched: list[tuple[Any, int]] = []
        self.renew()

    def renew(self) -> None:
        """Watch the views that there are now."""
        self.close()
        for view in slice_views(self._app_logic):
            tag = view.logic.AddObserver(vtkCommand.ModifiedEvent, self._changed)
            self._watched.append((view.logic, tag))

    def close(self) -> None:
        """Watch nothing any more."""
        for logic, tag in self._watched:
            logic.RemoveObserver(tag)
        self._watched.clear()

    def _changed(self, _caller: Any, _event: str) -> None:
        self._on_change()
