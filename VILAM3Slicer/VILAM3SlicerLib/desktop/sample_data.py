"""Scans to try the module with, offered in the module Sample Data: from the web, or from this disk."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _
from slicer.util import TESTING_DATA_URL

CATEGORY = "VILAM3Slicer"

FOLDER_SETTING = "VILAM3Slicer/sampleDataFolder"
"""The setting that names a folder with the files, for machines without a network."""


@dataclass(frozen=True)
class Sample:
    """A scan: its name, the file and its SHA-256; ``is_public`` where Slicer's testing data have it.

    ``thumbnail`` is a file of Slicer's own module Sample Data for a public scan, else one of ours.
    """

    name: str
    file: str
    sha256: str
    thumbnail: str
    is_public: bool = True


SAMPLES = (
    Sample(
        "ChestCT",
        "CT-chest.nrrd",
        "4507b664690840abb6cb9af2d919377ffc4ef75b167cb6fd0f747befdb12e38e",
        "CTChest.png",
    ),
    Sample(
        "BrainTumorMR",
        "RegLib_C01_1.nrrd",
        "998cb522173839c78657f4bc0ea907cea09fd04e44601f17c82ea27927937b95",
        "MRBrainTumor1.png",
    ),
    Sample(
        "ChestAndAbdomenCT",
        "cxr.nii.gz",
        "b1c29dfa53ea82a1a1588eeeffdef9da0440d5f8a478879f646206b9ba4a325c",
        "ChestAndAbdomenCT.png",
        is_public=False,
    ),
)
"""Two of 3D Slicer's own scans, and the one that setup_backend.py fetches for the demo."""


def register_sample_data(module_folder: Path) -> None:
    """Offer the scans that can be had; ``module_folder`` is where VILAM3Slicer.py lies."""
    from SampleData import SampleDataLogic

    if hasattr(SampleDataLogic, "registerCustomSampleDataCategory"):
        SampleDataLogic.registerCustomSampleDataCategory(CATEGORY, title=_("VILAM3Slicer"))
    folders = _local_folders(module_folder)
    for sample in SAMPLES:
        address = where(sample, folders)
        if address:
            SampleDataLogic.registerCustomSampleDataSource(
                category=CATEGORY,
                sampleName=sample.name,
                uris=address,
                fileNames=sample.file,
                nodeNames=sample.name,
                checksums=f"SHA256:{sample.sha256}",
                thumbnailFileName=str(_thumbnail(sample, module_folder)),
            )


def where(sample: Sample, folders: Iterable[Path]) -> str:
    """The file in one of the folders if it is there, else its address on the web; empty for neither."""
    for folder in folders:
        if (folder / sample.file).is_file():
            return (folder / sample.file).resolve().as_uri()
    return f"{TESTING_DATA_URL}SHA256/{sample.sha256}" if sample.is_public else ""


def _thumbnail(sample: Sample, module_folder: Path) -> Path:
    """Where the picture lies; Slicer shows the name alone where it is missing."""
    if sample.is_public:
        return Path(slicer.modules.sampledata.path).parent / "Resources" / "Icons" / sample.thumbnail
    return module_folder / "Resources" / "SampleData" / sample.thumbnail


def _local_folders(module_folder: Path) -> list[Path]:
    """Where the files may lie on this machine: as the setting says, and where the set-up puts its scan."""
    chosen = qt.QSettings().value(FOLDER_SETTING, "") or ""
    data = os.environ.get("VILAM3_DATA") or module_folder.parent / ".cache" / "data"
    return [*([Path(chosen)] if chosen else []), Path(data) / "chest_ct"]
