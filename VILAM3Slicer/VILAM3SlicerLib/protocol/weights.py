"""The weights of a backend on the wire: which there are, which are here, how far a download is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

WeightsState = Literal["present", "partial", "absent"]
JobKind = Literal["download", "convert", "verify"]
JobState = Literal["running", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class DownloadProgress:
    """Bytes here and in all, bytes per second lately; ``seconds_left`` is None while it cannot be told."""

    file: str
    done_bytes: int
    total_bytes: int
    bytes_per_second: float = 0.0
    seconds_left: float | None = None


@dataclass(frozen=True)
class LicenceText:
    """A licence as its publisher words it; to accept it, its ``sha256`` is sent back."""

    file: str
    sha256: str
    text: str
    accepted: bool


@dataclass(frozen=True)
class WeightsDescription:
    """One item of the catalogue and what is here of it.

    Attributes:
        kind: ``vila_m3``, ``demo`` or ``expert``.
        size_bytes: on the disk, about, if all of it were here.
        here_bytes: on the disk now.
        accepted: whether no licence text has to be accepted any more before it may be used.
        memory_bytes: device memory by precision, experts under ``any``; empty where nobody says.
        conversion: what has to be agreed to before the files that are here can be used; empty for nothing.
    """

    id: str
    kind: str
    title: str
    source: str
    licence: str
    needs_consent: bool
    accepted: bool
    state: WeightsState
    size_bytes: int
    here_bytes: int
    memory_bytes: dict[str, int]
    conversion: str = ""


@dataclass(frozen=True)
class WeightsList:
    """The whole catalogue; ``folder`` is where the weights lie, ``free_bytes`` what its disk has left."""

    folder: str
    free_bytes: int
    weights: tuple[WeightsDescription, ...]


@dataclass(frozen=True)
class WeightsJob:
    """A download or a check that runs or has ended; ``code``, ``message`` and ``hint`` say how it failed."""

    id: str
    kind: JobKind
    state: JobState
    progress: DownloadProgress | None = None
    code: str = ""
    message: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Removed:
    """What removing weights gave back."""

    freed_bytes: int
