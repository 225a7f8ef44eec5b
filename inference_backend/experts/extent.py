"""Whether a volume is as large as a body may be: a spacing that was lost or is in metres is told at once."""

from __future__ import annotations

from inference_backend.imaging.volume import Volume
from VILAM3SlicerLib.protocol.errors import ExpertError

_SMALLEST_MM = 5.0


def require_extent(volume: Volume, largest_mm: float, what: str = "The volume") -> None:
    """Refuse a volume whose longest side is no part of a body.

    Raises:
        ExpertError: the longest side is below 5 mm or above ``largest_mm``.
    """
    longest = float((volume.spacing * volume.voxels.shape).max())
    if not _SMALLEST_MM <= longest <= largest_mm:
        raise ExpertError(
            f"{what} is {longest:.3g} mm long: the size of its voxels is not right.",
            "Mend the spacing of the volume (in mm), or import it again.",
        )
