"""Whether images on one grid show one brain: by where they have tissue, then by the detail that they share.

Two patients in one atlas space overlap almost as well as one patient's sequences. What sets them apart is the
course of sulci and ventricles: knowing one sequence tells much of another, and much less once that is moved
by a few millimetres. So the mutual information in place is compared with that of moved images.

Measured on sequences simulated from tissue maps, 181x217x181 mm, with bias field and a tumour: 3.3 to 4.9
for one patient, with or without noise around the head; 2.2 to 2.8 where sequences are 1 to 1.4 mm aside or
have slices of 5 mm; 1.2 to 1.45 for two patients in MNI space (the ICBM 152 average and the Colin 27 brain; a
brain warped by 4 to 6 mm), and where a sequence is 3 mm aside. No real study was at hand.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inference_backend.imaging.volume import Array
from VILAM3SlicerLib.protocol.errors import ExpertError
from VILAM3SlicerLib.protocol.mri_sequences import ROLES

_SMALLEST_OVERLAP = 0.85
"""Dice of the brains of two sequences of one study, registered, is above this."""

_TWO_BRAINS = 1.5
_DOUBTFUL = 2.0
"""Mutual information in place, over that of moved images."""

_EVERY = 2
_MOVED = 2
"""Every second voxel is looked at; an image is moved by two of these: 4 mm on a grid of 1 mm."""

_TONES = 32
_FEWEST_VOXELS = 20_000
"""Below this (160 mL) chance decides, so nothing is said."""


def check_one_brain(channels: Sequence[Array]) -> tuple[str, ...]:
    """Compare each sequence with the first; returns what a person should know.

    Args:
        channels: in the order of ``ROLES``, on one grid of 1 mm, 0 where there is nothing.

    Raises:
        ExpertError: a sequence shows another place or another brain.
    """
    notes = []
    for role, channel in zip(ROLES[1:], channels[1:], strict=True):
        _require_overlap(role, channels[0], channel)
        detail = shared_detail(channels[0], channel)
        if detail is not None and detail < _TWO_BRAINS:
            raise ExpertError(
                f"{role} and {ROLES[0]} do not seem to show the same brain.",
                "Choose sequences of one patient, registered to each other.",
            )
        if detail is not None and detail < _DOUBTFUL:
            notes.append(f"{role} fits {ROLES[0]} badly: is it of the same patient, and registered?")
    return tuple(notes)


def shared_detail(one: Array, other: Array) -> float | None:
    """Mutual information of two images in place over its mean for 4 mm off to each of six sides.

    None where too little is in both to tell.
    """
    first, second = _tones(one), _tones(other)
    if np.count_nonzero(first.astype(bool) & second.astype(bool)) < _FEWEST_VOXELS:
        return None
    moved = [
        _mutual_information(*_moved(first, second, axis, towards)) for axis in range(3) for towards in (0, 1)
    ]
    return _mutual_information(first, second) / max(float(np.mean(moved)), 1e-9)


def _require_overlap(role: str, one: Array, other: Array) -> None:
    brain, same = one != 0, other != 0
    overlap = 2 * float((brain & same).sum()) / max(float(brain.sum() + same.sum()), 1.0)
    if overlap < _SMALLEST_OVERLAP:
        raise ExpertError(
            f"{role} does not show the same place as {ROLES[0]}: they overlap by {overlap:.0%}.",
            "Choose sequences of one patient, registered to each other.",
        )


def _tones(image: Array) -> npt.NDArray[np.intp]:
    """Values as equally filled tones 1 to 32, 0 outside the head."""
    some = image[::_EVERY, ::_EVERY, ::_EVERY].astype(np.float32)
    inside = _head(some)
    tones = np.zeros(some.shape, np.intp)
    if inside.any():
        borders = np.quantile(some[inside], np.linspace(0, 1, _TONES + 1)[1:-1])
        tones[inside] = np.searchsorted(borders, some[inside]) + 1
    return tones


def _head(image: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Tissue and what it encloses. The noise around it is left out: that there is a head tells of no one."""
    from scipy.ndimage import binary_fill_holes, gaussian_filter

    smooth = gaussian_filter(image, 1.0)
    above = smooth[smooth > smooth.mean()]
    least = above.mean() / 2 if above.size else 0.0  # an image of one value is all head
    filled: npt.NDArray[np.bool_] = binary_fill_holes(smooth > least)
    return filled


def _moved(
    one: npt.NDArray[np.intp], other: npt.NDArray[np.intp], axis: int, towards: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    near = tuple(slice(_MOVED, None) if axis == each else slice(None) for each in range(3))
    far = tuple(slice(None, -_MOVED) if axis == each else slice(None) for each in range(3))
    return (one[near], other[far]) if towards else (one[far], other[near])


def _mutual_information(one: npt.NDArray[np.intp], other: npt.NDArray[np.intp]) -> float:
    """In nats, over the voxels where both have a tone."""
    pairs = np.bincount((one * (_TONES + 1) + other).ravel(), minlength=(_TONES + 1) ** 2)
    joint = pairs.reshape(_TONES + 1, _TONES + 1)[1:, 1:].astype(np.float64)
    joint /= max(joint.sum(), 1.0)
    expected = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    seen = joint > 0
    return float((joint[seen] * np.log(joint[seen] / expected[seen])).sum())
