"""From a radiograph's volume to the square image that the models read."""

from __future__ import annotations

from dataclasses import dataclass

import nibabel.orientations
import numpy as np
import numpy.typing as npt

from inference_backend.experts.modality import require_modality
from inference_backend.imaging.volume import Affine, Array, Volume
from VILAM3SlicerLib.protocol.errors import ExpertError
from VILAM3SlicerLib.protocol.messages import StoredRange

_SMALLEST = 64
"""Pixels along a side; a chest cannot be read on fewer."""

_FEWEST_BITS = 8


@dataclass(frozen=True, eq=False)
class Radiograph:
    """The square in the middle of a radiograph.

    Attributes:
        pixels: float32, shape (rows from the top, columns), -1024 black to 1024 white.
        pixel_to_ras: 4x4, centre of pixel (column, row, 0, 1) to RAS in mm, in the volume's own frame.
    """

    pixels: npt.NDArray[np.float32]
    pixel_to_ras: Affine


def read_radiograph(
    volume: Volume, modality: str = "Unknown", stored_range: StoredRange | None = None
) -> Radiograph:
    """The square in the middle of the image, the patient's right (or front) on the left.

    Black and white are the ends of what the file could have held, as TorchXRayVision has it
    (``utils.read_xray_dcm``, ``datasets.normalize``: 0 and the highest number of the bits stored). Where
    nobody tells the range: 0 to 255 for 8 bits, as published; for other whole numbers from 0 on the fewest
    bits that hold the brightest pixel, 8 at least; else the image's own range.

    Raises:
        ExpertError: see ``check_radiograph``.
    """
    pixels, pixel_to_ras, (low, high) = _opened(volume, modality, stored_range)
    scaled = pixels.astype(np.float32)
    scaled -= np.float32(low)
    scaled *= np.float32(2048 / (high - low))
    scaled -= np.float32(1024)
    return Radiograph(scaled, pixel_to_ras)


def check_radiograph(
    volume: Volume, modality: str = "Unknown", stored_range: StoredRange | None = None
) -> None:
    """Refuse what ``read_radiograph`` cannot read; quicker than reading it.

    Raises:
        ExpertError: another modality, more than one slice, too small, or nothing to be seen.
    """
    _opened(volume, modality, stored_range)


def _opened(
    volume: Volume, modality: str, stored_range: StoredRange | None
) -> tuple[Array, Affine, tuple[float, float]]:
    """The square, where it lies, and which values are black and white."""
    require_modality(modality, "CXR", "a chest X-ray", "a chest X-ray")
    pixels, pixel_to_ras = _square(*_upright(volume))
    return pixels, pixel_to_ras, _black_and_white(pixels, stored_range)


def _black_and_white(pixels: Array, told: StoredRange | None) -> tuple[float, float]:
    if pixels.dtype.kind not in "iuf":
        raise ExpertError("The image has values that are no plain numbers.", "Choose another image.")
    low, high = float(pixels.min()), float(pixels.max())
    if not np.isfinite([low, high]).all():
        raise ExpertError("The image has values that are not numbers.", "Choose another image.")
    if low == high:
        raise ExpertError("The image is empty: all pixels are alike.", "Choose another image.")
    if told is not None and told[0] <= low and high <= told[1]:
        return told
    if pixels.dtype.kind == "f" or low < 0:
        return low, high
    return 0.0, float(2 ** max(_FEWEST_BITS, int(high).bit_length()) - 1)


def _upright(volume: Volume) -> tuple[Array, Affine]:
    """Rows from the top, columns from the left, and where they lie."""
    shape = volume.voxels.shape
    if shape.count(1) != 1:
        raise _no_radiograph(shape)
    ornt = nibabel.orientations.ornt_transform(
        nibabel.orientations.io_orientation(volume.ijk_to_ras), nibabel.orientations.axcodes2ornt("LPI")
    )
    turned: Array = nibabel.orientations.apply_orientation(volume.voxels, ornt)
    matrix = volume.ijk_to_ras @ nibabel.orientations.inv_ornt_aff(ornt, shape)
    flat = turned.shape.index(1)
    across, down = (axis for axis in range(3) if axis != flat)
    return np.take(turned, 0, flat).T, matrix[:, [across, down, flat, 3]]


def _no_radiograph(shape: tuple[int, ...]) -> ExpertError:
    size = "x".join(str(length) for length in shape)
    if min(shape) > 1:
        hint = "Choose a chest X-ray: an image with a single slice."
        return ExpertError(f"This is a volume of {size} voxels, not a radiograph.", hint)
    return ExpertError(f"The image has only {size} pixels.", "Choose a larger image.")


def _square(pixels: Array, pixel_to_ras: Affine) -> tuple[Array, Affine]:
    """As the published system crops: the middle, one pixel nearer to the origin where it does not divide."""
    rows, columns = pixels.shape
    side = min(rows, columns)
    if side < _SMALLEST:
        raise ExpertError(f"The image has only {columns}x{rows} pixels.", "Choose a larger image.")
    top, left = rows // 2 - side // 2, columns // 2 - side // 2
    moved = pixel_to_ras.copy()
    moved[:, 3] = pixel_to_ras @ (left, top, 0.0, 1.0)
    return pixels[top : top + side, left : left + side], moved
