"""Where an expert's weights are, and why they are not to be used where they are not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from inference_backend.weights.catalogue import read_catalogue
from inference_backend.weights.folder import WeightsFolder
from inference_backend.weights.permission import require_consent
from VILAM3SlicerLib.protocol.errors import VilaM3Error


class ExpertWeights(Protocol):
    """Gives the folder of an expert's files, laid out as they were released."""

    def folder(self) -> Path:
        """Raises VilaM3Error where they are not here or may not be used; it says what to do."""


@dataclass(frozen=True)
class WeightsAt:
    """Weights in a folder that a person chose; those of the catalogue need consent there too."""

    path: Path

    def folder(self) -> Path:
        require_consent(self.path)
        return self.path


@dataclass(frozen=True)
class WeightsOfCatalogue:
    """Weights that ``setup_backend.py weights`` fetched, with the licence that was accepted there."""

    entry: str

    def folder(self) -> Path:
        return WeightsFolder().usable(read_catalogue()[self.entry])


def why_not(weights: ExpertWeights, *files: str) -> str:
    """Empty where the weights are there with all of ``files``, else the reason and what to do."""
    try:
        folder = weights.folder()
    except VilaM3Error as error:
        return f"{error.message} {error.hint}"
    missing = [file for file in files if not (folder / file).is_file()]
    return f"Its weights lack {missing[0]}. Fetch them again." if missing else ""
