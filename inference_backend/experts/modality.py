"""Whether a scan is of the kind that an expert reads, by what the person or the file says."""

from __future__ import annotations

from VILAM3SlicerLib.protocol.errors import ExpertError


def require_modality(modality: str, wanted: str, kind: str, example: str) -> None:
    """Refuse a scan that is said to be of another modality than ``wanted``; "Unknown" may be anything.

    Args:
        kind: what the expert reads, as in "not CT".
        example: what to choose instead, as in "Choose a CT".

    Raises:
        ExpertError: it is said to be another.
    """
    if modality not in (wanted, "Unknown"):
        raise ExpertError(
            f"This is said to be {modality}, not {kind}.",
            f"Choose {example}; if this is one, choose {wanted} as its modality.",
        )
