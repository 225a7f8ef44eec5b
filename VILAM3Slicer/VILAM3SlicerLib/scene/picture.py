"""A grey picture with its place in the patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from VILAM3SlicerLib.scene.geometry import Affine


@dataclass(frozen=True, eq=False)
class Picture:
    """Pixels and where they lie.

    Attributes:
        pixels: uint8, shape (rows from the top, columns).
        pixel_to_ras: 4x4, centre of pixel (column, row, 0, 1) to RAS in mm, in the volume's own frame.
        window: width of the range of voxel values that is shown, in the volume's units.
        level: middle of that range.
    """

    pixels: npt.NDArray[np.uint8]
    pixel_to_ras: Affine
    window: float
    level: float


def apply_window(values: npt.NDArray[Any], window: float, level: float) -> npt.NDArray[np.uint8]:
    """Voxel values to grey 0 to 255 as vtkImageMapToWindowLevelColors does: linear, cut off, truncated.

    A negative window shows the picture inverted; values that are no number are black.
    """
    width = window if abs(window) > 1e-6 else 1e-6
    low = level - width / 2
    grey = (values.astype(np.float64) - low) * (255.0 / width)
    return np.nan_to_num(np.clip(grey, 0.0, 255.0), nan=0.0).astype(np.uint8)
