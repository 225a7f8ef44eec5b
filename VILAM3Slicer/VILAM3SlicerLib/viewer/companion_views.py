"""Pictures of other views that go along with that of the asked one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from VILAM3SlicerLib.scene.capture import CapturedView, capture_all
from VILAM3SlicerLib.scene.views import slice_views


class CompanionViews:
    """The person's choice of further views, none at first.

    Attributes:
        has_slices: whether the other slice views that show the scan go along.
        threed: takes the scan's node and content hash and gives the front end's picture of its 3D view,
            see ``scene.threed_picture``; None where that does not go along.
    """

    def __init__(self, app_logic: Any) -> None:
        self.has_slices = False
        self.threed: Callable[[Any, str | None], CapturedView] | None = None
        self._app_logic = app_logic

    def capture(
        self, node: Any, asked: str, modality: str, volume: str | None, belongs: Callable[[Any], bool]
    ) -> list[CapturedView]:
        """The scan in the planes of the slice views beside the asked one, in the application's order, then
        the 3D view. A view with another sequence of the scan's study gives its plane only.

        Args:
            node: the scan that is talked about; without one nothing goes along.
            asked: the name of the asked view.
            modality: as in ``scene.capture.capture``.
            volume: the scan's content hash, for the 3D view.
            belongs: whether a volume node is what is talked about; other views stay away.

        Raises:
            SceneError: a view has no size yet.
        """
        if node is None:
            return []
        views = slice_views(self._app_logic) if self.has_slices else []
        others = [view for view in views if view.name != asked and belongs(view.background)]
        seen = [one for view in others for one in capture_all(view, [node], node, "as_seen", modality)]
        return [*seen, self.threed(node, volume)] if self.threed is not None else seen
