"""One question about the real CT, from prompt to files, against the labels that came with the scan."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import slicerio
from PIL import Image

LUNG_LABELS = {"left lung": (10, 11), "right lung": (12, 13, 14)}
"""TotalSegmentator's ids of the lobes."""


@pytest.fixture(scope="module")
def output(demo_backend, chest_ct, headless_environment, tmp_path_factory) -> Path:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("first_light")
    command = [sys.executable, "-m", "browser_viewer.headless", "--backend", demo_backend.url]
    command += ["--key-file", str(demo_backend.key_file), "--volume", str(chest_ct)]
    command += ["--ask", "Segment the lungs.", "--output", str(folder)]
    run = subprocess.run(command, env=headless_environment, capture_output=True, text=True, timeout=280)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


def test_segments_lie_on_the_scan_and_match_the_reference(
    output: Path, chest_ct: Path, data_folder: Path
) -> None:
    segmentation = slicerio.read_segmentation(str(output / "segmentation.seg.nrrd"))
    reference = np.asarray(nibabel.load(data_folder / "reference" / "chest_ct_labels.nii.gz").dataobj)
    scan = nibabel.load(chest_ct)
    for name, labels in LUNG_LABELS.items():
        found = _on_grid(segmentation, name, scan)
        expected = np.isin(reference, labels)
        dice = 2 * (found & expected).sum() / (found.sum() + expected.sum())
        assert dice >= 0.95, name


def _on_grid(segmentation, name: str, scan) -> np.ndarray:  # type: ignore[no-untyped-def]
    """A segment on the scan's grid, placed by the matrices of the two files alone."""
    (segment,) = [each for each in segmentation["segments"] if each["name"] == name]
    voxels = segmentation["voxels"]
    voxels = voxels[segment.get("layer", 0)] if voxels.ndim == 4 else voxels
    ijk = np.argwhere(voxels == segment["labelValue"])
    to_scan = np.linalg.inv(scan.affine) @ np.diag([-1, -1, 1, 1]) @ segmentation["ijkToLPS"]
    placed = ijk @ to_scan[:3, :3].T + to_scan[:3, 3]
    assert np.abs(placed - placed.round()).max() < 1e-3
    mask = np.zeros(scan.shape, bool)
    mask[tuple(placed.round().astype(int).T)] = True
    return mask


def test_sizes_in_the_table_are_those_of_the_segmentation(output: Path, chest_ct: Path) -> None:
    segmentation = slicerio.read_segmentation(str(output / "segmentation.seg.nrrd"))
    scan = nibabel.load(chest_ct)
    voxel_ml = abs(np.linalg.det(scan.affine[:3, :3])) / 1000
    rows = {row["segment"]: row for row in csv.DictReader((output / "measurements.csv").open())}
    for name in LUNG_LABELS:
        volume = _on_grid(segmentation, name, scan).sum() * voxel_ml
        assert float(rows[name]["volume_ml"]) == pytest.approx(volume, rel=1e-3)


def test_transcript_shows_the_prompt_the_images_the_call_and_the_result(output: Path) -> None:
    transcript = json.loads((output / "transcript.json").read_text())
    text = json.dumps(transcript)
    assert "Here is a list of available expert models:" in text
    assert "<CT_TISSUE(lungs)>" in text
    assert "The results are <image>." in text
    assert "demo" in text


def test_picture_shows_the_overlay_in_every_view(output: Path) -> None:
    pixels = np.asarray(Image.open(output / "view.png").convert("RGB")).astype(int)
    colourful = pixels.max(axis=2) - pixels.min(axis=2) > 15  # the scan itself is grey
    rows, columns = colourful.shape
    quarters = [
        colourful[r : r + rows // 2, c : c + columns // 2] for r in (0, rows // 2) for c in (0, columns // 2)
    ]
    assert min(quarter.sum() for quarter in quarters) > 2000


def test_report_names_sizes_sources_and_what_it_is_not_for(output: Path) -> None:
    report = (output / "report.md").read_text()
    for word in ("left lung", "right lung", "mL", "CT_TISSUE", "demo", "research"):
        assert word in report
