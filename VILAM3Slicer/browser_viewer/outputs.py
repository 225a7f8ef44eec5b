"""The files of an unattended run, written and then read again: what is reported as made has been seen."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from PIL import Image

from browser_viewer.overview import coloured_share, panel_corner
from VILAM3SlicerLib.chat.images import ImageShelf
from VILAM3SlicerLib.chat.transcript import compose_transcript, image_names
from VILAM3SlicerLib.chat.turn import Turn
from VILAM3SlicerLib.chat.words import RESEARCH_USE

VIEW = "view.png"
SEGMENTATION = "segmentation.seg.nrrd"
MEASUREMENTS = "measurements.csv"
REPORT = "report.md"
TRANSCRIPT = "transcript.json"
IMAGES = "images"


@dataclass(frozen=True)
class Problem:
    """A file that is missing or not what it should be, and why."""

    file: str
    reason: str


def write_transcript(folder: Path, turns: Sequence[Turn], shelf: ImageShelf) -> None:
    """transcript.json, and the images it names as PNG files in a folder beside it."""
    images = folder / IMAGES
    for name in image_names(turns):
        png = shelf.get(name)
        if png is not None:
            images.mkdir(exist_ok=True)
            (images / f"{name[:16]}.png").write_bytes(png)

    def reference(name: str) -> str | None:
        return f"{IMAGES}/{name[:16]}.png" if shelf.get(name) is not None else None

    transcript = compose_transcript(turns, reference)
    (folder / TRANSCRIPT).write_text(json.dumps(transcript, indent=2, ensure_ascii=False), encoding="utf-8")


def check_outputs(folder: Path, panel: tuple[int, int]) -> list[Problem]:
    """Read all files again and say what is wrong with them.

    Args:
        panel: rows and columns of one panel of view.png.
    """
    checks = (
        (VIEW, lambda path: _check_view(path, panel)),
        (SEGMENTATION, _check_segmentation),
        (MEASUREMENTS, lambda path: _check_measurements(path, folder / SEGMENTATION)),
        (REPORT, _check_report),
        (TRANSCRIPT, _check_transcript),
    )
    problems = []
    for name, check in checks:
        path = folder / name
        reason = check(path) if path.is_file() else "it was not written"
        if reason:
            problems.append(Problem(name, reason))
    return problems


def _check_view(path: Path, panel: tuple[int, int]) -> str:
    pixels = np.asarray(Image.open(path).convert("RGB"))
    rows, columns = panel
    shares = []
    for place in range(4):
        left, top = panel_corner(place, rows, columns)
        shares.append(coloured_share(pixels[top : top + rows, left : left + columns]))
    if max(shares[:3]) < 0.001:
        return "no overlay is to be seen on the slices"
    return "" if shares[3] > 0.001 else "nothing is to be seen in the 3D view"


def _check_segmentation(path: Path) -> str:
    image = SimpleITK.ReadImage(str(path))
    names = [key for key in image.GetMetaDataKeys() if key.endswith("_Name") and key.startswith("Segment")]
    if not names:
        return "it names no segment"
    return "" if int(np.max(SimpleITK.GetArrayViewFromImage(image))) > 0 else "all its voxels are empty"


def _check_measurements(path: Path, segmentation: Path) -> str:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        return "it has no rows"
    if any(float(row["volume_ml"]) > 0 for row in rows):
        return ""
    return f"all sizes are zero, although {segmentation.name} was written"


def _check_report(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    parts = (RESEARCH_USE, "## Findings", "_[expert: ", "_[person]_", "_[model: ")
    missing = [part for part in parts if part not in text]
    return f"it lacks {missing[0]!r}" if missing else ""


def _check_transcript(path: Path) -> str:
    transcript: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    (turn, *_) = transcript["turns"] or [{}]
    replies, experts = turn.get("replies", []), turn.get("experts", [])
    if not turn.get("answer"):
        return "it has no answer"
    if not replies or not all(reply["prompt"] for reply in replies):
        return "a prompt is missing"
    seen = [image["image"] for reply in replies for image in reply["images_as_seen"]]
    if not seen or not all(name and (path.parent / name).is_file() for name in seen):
        return "an image as the model saw it is missing"
    return "" if any(expert["result"] for expert in experts) else "no expert's result is in it"
