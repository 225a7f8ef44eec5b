"""Where a segment came from, kept in its tags, so that it survives saving and can be undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vtkmodules.vtkCommonCore import reference

_PREFIX = "VILAM3."
_TURN, _EXPERT, _VERSION, _FINGERPRINT, OPACITY_3D = (
    _PREFIX + name for name in ("Turn", "Expert", "Version", "Fingerprint", "Opacity3D")
)
TAGS = (_TURN, _EXPERT, _VERSION, _FINGERPRINT, OPACITY_3D)
"""The names of all tags of ours."""


@dataclass(frozen=True)
class Origin:
    """The turn and the expert that made a segment."""

    turn_id: str
    expert: str
    version: str


def write_origin(segment: Any, origin: Origin, fingerprint: str) -> None:
    """Tag a segment with its origin and the fingerprint of its voxels as they came."""
    segment.SetTag(_TURN, _clean(origin.turn_id))
    segment.SetTag(_EXPERT, _clean(origin.expert))
    segment.SetTag(_VERSION, _clean(origin.version))
    segment.SetTag(_FINGERPRINT, fingerprint)


def read_origin(segment: Any) -> Origin | None:
    """The origin of a segment, None where it was not made by an expert."""
    turn_id, expert = read_tag(segment, _TURN), read_tag(segment, _EXPERT)
    return Origin(turn_id, expert, read_tag(segment, _VERSION)) if turn_id and expert else None


def is_by(segment: Any, expert: str) -> bool:
    """Whether an expert made a segment."""
    origin = read_origin(segment)
    return origin is not None and origin.expert == _clean(expert)


def read_fingerprint(segment: Any) -> str:
    """The fingerprint of the voxels as they came, empty where there is none."""
    return read_tag(segment, _FINGERPRINT)


def read_tag(segment: Any, name: str) -> str:
    """The text of a tag, empty where there is none."""
    value: Any = reference("")
    return str(value.get()) if segment.GetTag(name, value) else ""


def _clean(text: str) -> str:
    """Tags are saved as ``name:value|name:value`` in .seg.nrrd files."""
    return text.replace("|", "/").replace(":", ".")
