"""Where the camera of a 3D view looks from at first, and leaving it alone afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Bounds = Sequence[float]
"""World RAS in mm: lowest and highest R, A and S in turn."""

_MARGIN = 1.1


class FirstLook:
    """Looks at a scan from the front; comes closer once, and only if the person has not moved the camera.

    Args:
        camera: a ``vtkMRMLCameraNode``.
    """

    def __init__(self, camera: Any) -> None:
        self._camera = camera
        self._left_at: tuple[float, ...] | None = None

    def face(self, bounds: Bounds) -> None:
        """A new scan: look from the front at all of this box."""
        self._look_from_the_front(bounds)
        self._left_at = self._place()

    def stay(self) -> None:
        """Leave the camera where it is, but let what appears have the picture."""
        self._left_at = self._place()

    def come_closer(self, bounds: Bounds) -> bool:
        """Fit the picture to what has appeared; whether it was done."""
        untouched = self._left_at is not None and np.allclose(self._place(), self._left_at)
        self._left_at = None
        if untouched:
            self._look_from_the_front(bounds)
        return untouched

    def _place(self) -> tuple[float, ...]:
        return (*self._camera.GetPosition(), *self._camera.GetFocalPoint(), *self._camera.GetViewUp())

    def _look_from_the_front(self, bounds: Bounds) -> None:
        low, high = np.array(bounds[::2]), np.array(bounds[1::2])
        centre, (half_right, half_front, half_up) = (low + high) / 2, (high - low) / 2
        half = _MARGIN * max(half_right, half_up)
        distance = half / np.tan(np.radians(self._camera.GetViewAngle()) / 2) + half_front
        self._camera.SetFocalPoint(*centre)
        self._camera.SetPosition(*(centre + np.array([0.0, distance, 0.0])))
        self._camera.SetViewUp(0.0, 0.0, 1.0)
        self._camera.SetParallelScale(half)
        self._camera.ResetClippingRange()
