"""The slice views of an application and what they show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.protocol.phrases import phrases
from VILAM3SlicerLib.scene.geometry import Affine, to_numpy

_ = phrases(__name__)


@dataclass(frozen=True)
class SliceView:
    """A slice view by its logic, a ``vtkMRMLSliceLogic``."""

    logic: Any

    @property
    def name(self) -> str:
        """The layout name: Red, Green, Yellow on the desktop."""
        return str(self.logic.GetSliceNode().GetLayoutName())

    @property
    def node(self) -> Any:
        """The ``vtkMRMLSliceNode``: where the plane lies."""
        return self.logic.GetSliceNode()

    @property
    def xy_to_world(self) -> Affine:
        """4x4: centre of screen pixel (x from the left, y from the BOTTOM, 0, 1) to world RAS in mm."""
        return to_numpy(self.node.GetXYToRAS())

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows of the view in pixels."""
        columns, rows, _ = self.node.GetDimensions()
        return int(columns), int(rows)

    @property
    def background(self) -> Any:
        """The volume node in the background, None where there is none."""
        return self.logic.GetBackgroundLayer().GetVolumeNode()


def slice_views(app_logic: Any) -> list[SliceView]:
    """All slice views of the application, in its order."""
    logics = app_logic.GetSliceLogics()
    count = logics.GetNumberOfItems() if logics is not None else 0
    return [SliceView(logics.GetItemAsObject(index)) for index in range(count)]


def slice_view(app_logic: Any, name: str) -> SliceView:
    """The slice view with this layout name.

    Raises:
        SceneError: there is none.
    """
    views = slice_views(app_logic)
    for view in views:
        if view.name == name:
            return view
    known = ", ".join(view.name for view in views) or "none"
    raise SceneError(
        _("There is no slice view '{name}'.").format(name=name),
        _("Slice views: {known}.").format(known=known),
    )
