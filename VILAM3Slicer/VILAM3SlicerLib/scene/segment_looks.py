"""Hearing of it when somebody shows, hides or fades segments elsewhere, as in Slicer's module Data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer


class SegmentLooks:
    """``on_change`` is called at each change of how the watched segments are shown."""

    def __init__(self) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._node: Any = None
        self._tag = 0

    def watch(self, segmentation_node: Any) -> None:
        """Watch the segments of this node from now on, None for none."""
        if segmentation_node is self._node:
            return
        if self._node is not None:
            self._node.RemoveObserver(self._tag)
        self._node = segmentation_node
        if segmentation_node is not None:
            event = slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent
            self._tag = segmentation_node.AddObserver(event, self._after_change)

    def _after_change(self, *_: object) -> None:
        self.on_change()
