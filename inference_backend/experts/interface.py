"""What an expert is. A researcher's own expert implements ``Expert`` and is found by entry point.

An entry point of the group ``vilam3.experts`` names a callable without arguments that returns an Expert.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from inference_backend.conversation.model_cards import ModelCard
from inference_backend.imaging.overlay import ColouredLabel
from inference_backend.imaging.volume import Affine, Array, Volume
from VILAM3SlicerLib.protocol.events import Finding
from VILAM3SlicerLib.protocol.messages import BoxRegion, MriRole, PointPrompt, StoredRange

ENTRY_POINT_GROUP = "vilam3.experts"

ReportProgress = Callable[[float, str], None]
"""Takes a fraction from 0 to 1 and what is being done, fit to show to a person."""

IsCancelled = Callable[[], bool]
"""To be asked often (several times a second); the expert raises ``Cancelled`` when it is true."""


@dataclass(frozen=True)
class Segment:
    """A named part of a labelmap.

    A segment may have several label values, and segments may share them (a body contains its lungs).
    ``terminology`` is the label in Slicer's "3D Slicer General Anatomy list", empty where there is none.
    """

    name: str
    label_values: tuple[int, ...]
    terminology: str = ""


@dataclass(frozen=True)
class Segmentation:
    """Segments on the very grid of the volume that was given.

    Attributes:
        labelmap: voxels are uint8 or uint16.
        notes: what the person should know of how it was made.
        told: words the overlay to the model, if not as a legend; takes the labels in the image.
    """

    labelmap: Volume
    segments: tuple[Segment, ...]
    notes: tuple[str, ...] = ()
    told: Callable[[tuple[ColouredLabel, ...]], str] | None = None


@dataclass(frozen=True, eq=False)
class FindingHeat:
    """Where an expert saw signs of a finding.

    Attributes:
        strength: shape (rows from the top, columns), 0 to 1.
        pixel_to_ras: 4x4, centre of pixel (column, row, 0, 1) to RAS in mm, in the volume's own frame.
        source: the network that saw them.
    """

    finding: str
    strength: Array
    pixel_to_ras: Affine
    source: str


@dataclass(frozen=True)
class Findings:
    """Findings with probabilities, in the order in which the model is told of them.

    ``heat_maps`` show the person where; the model is not told of them.
    """

    findings: tuple[Finding, ...]
    heat_maps: tuple[FindingHeat, ...] = ()


@dataclass(frozen=True)
class SequenceVolume:
    """One volume of an MRI study: its name or series description, and its role where the person said so."""

    name: str
    role: MriRole
    volume: Volume


@dataclass(frozen=True)
class ExpertRequest:
    """What an expert works on.

    ``arguments`` is the text in the parentheses of the trigger, may be empty. ``points`` were placed by the
    person, in the volume's own frame. ``sequences`` is the MRI study, ``volume`` among them. ``modality`` is
    what the person or the file says (CT, MRI, CXR, US, ...), ``stored_range`` what its file could have held.
    ``box`` was drawn by the person, in the volume's own frame; an expert may limit its work to it.
    """

    arguments: str
    volume: Volume
    points: tuple[PointPrompt, ...] = ()
    sequences: tuple[SequenceVolume, ...] = ()
    modality: str = "Unknown"
    stored_range: StoredRange | None = None
    box: BoxRegion | None = None


class Expert(Protocol):
    """A specialist model; subclass it to get the defaults.

    ``tells_sizes``: the model is told the size of each segment too (the published experts do not).
    ``memory_bytes``: device memory that it takes while it is loaded and runs, 0 for one on the CPU.
    """

    card: ModelCard
    tells_sizes: bool = False
    memory_bytes: int = 0

    @property
    def version(self) -> str: ...

    @property
    def unavailable_because(self) -> str:
        """Empty where the expert can run, else the reason and what to do about it."""
        return ""

    def check(self, request: ExpertRequest) -> None:
        """Refuse what ``run`` would refuse at once; asked before the expert is loaded.

        Raises:
            InvalidRequest, ExpertError: see ``run``.
        """
        return None

    def load(self, device: str) -> None:
        """Get ready to run on a torch device; called in the experts' process, again after ``unload``."""
        return None

    def unload(self) -> None:
        """Drop what ``load`` made: its memory is needed for another expert."""
        return None

    def run(
        self, request: ExpertRequest, report_progress: ReportProgress, is_cancelled: IsCancelled
    ) -> Segmentation | Findings:
        """Do the work.

        Raises:
            InvalidRequest: the arguments are none of the card's.
            ExpertError: the volume is not what this expert can work on; the message says why.
            Cancelled: ``is_cancelled`` became true.
        """
