"""Which of a study's volumes is which MRI sequence: by a person's word, else by name.

Front ends use it to show the choice for confirmation, the backend to check it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from VILAM3SlicerLib.protocol.errors import InvalidRequest
from VILAM3SlicerLib.protocol.messages import MriRole

ROLES: tuple[MriRole, ...] = ("T1c", "T1", "T2", "FLAIR")
"""The four sequences of a brain tumour study, in the published order."""

_CONTRAST = r"t1-?c|t1-?ce|t1-?gd|t1-?km|\+ ?c|ce|gd|gad\w*|gado\w*|contrast|post|enhanced|km|kontrast\w*"
_WITHOUT = r"pre|non?|without|w/?o|nativ\w*|native|ohne|unenhanced"
_T1 = r"t1(?!\d)\w*|mp-?rage|b?spgr|bravo|vibe"
_PATTERNS: tuple[tuple[MriRole, str], ...] = (
    ("FLAIR", r"flair\w*|\w*flair|dark.?fluid|tirm|t2-?f"),
    ("T2", r"t2(?![*\d])\w*"),
)


@dataclass(frozen=True)
class SequenceCandidate:
    """A volume that may be a sequence of the study that is talked about, as a front end knows it.

    ``key`` names it within the front end, ``description`` is its DICOM series description where that is
    known, ``size`` counts voxels along I, J and K. ``patient`` is equal for volumes of one patient and empty
    where nothing is known; it is compared here and goes nowhere else.
    """

    key: str
    name: str
    description: str = ""
    size: tuple[int, int, int] = (0, 0, 0)
    patient: str = ""

    @property
    def role(self) -> MriRole:
        """What its description says it is, else its name; empty where neither does."""
        return guess_role(self.description) or guess_role(self.name)


def guess_role(name: str) -> MriRole:
    """The sequence that a volume's name or series description speaks of, empty where it does not."""
    words = re.sub(r"[_.,;:()\[\]]+", " ", name.lower())
    for role, pattern in _PATTERNS:
        if _speaks_of(words, pattern):
            return role
    if not _speaks_of(words, _T1):
        return ""
    with_contrast = _speaks_of(words, _CONTRAST) and not _speaks_of(words, _WITHOUT)
    return "T1c" if with_contrast else "T1"


def assign_roles(sequences: Sequence[tuple[str, MriRole]]) -> dict[MriRole, int]:
    """The position of each of the four roles among names and roles; a person's word goes before a name.

    Raises:
        InvalidRequest: a sequence is missing, or two could be the same one; the message names them.
    """
    found: dict[MriRole, int] = {}
    missing: list[str] = []
    for role in ROLES:
        said = [place for place, (_, stated) in enumerate(sequences) if stated == role]
        guessed = [
            place for place, (name, stated) in enumerate(sequences) if not stated and guess_role(name) == role
        ]
        candidates = said or guessed
        if len(candidates) > 1:
            names = ", ".join(sequences[place][0] for place in candidates)
            raise InvalidRequest(f"Several volumes could be {role}: {names}.", "Say which of them it is.")
        if candidates:
            found[role] = candidates[0]
        else:
            missing.append(role)
    if missing:
        raise InvalidRequest(
            f"A tumour segmentation needs {', '.join(ROLES)} of one brain; missing: {', '.join(missing)}.",
            "Open the missing sequences, or say which of the open volumes they are.",
        )
    return found


def _speaks_of(words: str, pattern: str) -> bool:
    return re.search(rf"(?:^|[\s\-/]|(?<=\d))(?:{pattern})(?=$|[\s\-/+])", words) is not None
