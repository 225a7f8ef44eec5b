"""The command without a browser: files and exit status tell the truth."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK
from PIL import Image

from browser_viewer.outputs import check_outputs
from browser_viewer.overview import coloured_share

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def run(fake_backend, scan_file, key_file, python_environment, tmp_path):
    def run(question: str, **changes: str) -> subprocess.CompletedProcess[str]:
        values = {
            "--backend": fake_backend.url,
            "--key-file": str(key_file),
            "--volume": str(scan_file),
            "--ask": question,
            "--output": str(tmp_path / "out"),
            **changes,
        }
        command = [part for pair in values.items() for part in pair]
        return subprocess.run(
            [sys.executable, "-m", "browser_viewer.headless", *command],
            env=python_environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=250,
        )

    return run


def test_a_folder_of_sequences_is_asked_about_as_one_study(run, fake_backend, tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    for number, name in enumerate(("flair", "t1", "t1ce", "t2"), 1):
        voxels = np.zeros((12, 20, 20), np.int16)
        voxels[3:9, 5:15, 5:15] = number
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(voxels), str(folder / f"{name}.nrrd"))
    done = run("What is this?", **{"--volume": str(folder)})
    assert done.returncode == 3, done.stdout + done.stderr[-2000:]  # no expert was called
    context = fake_backend.requests[-1]["vilam3"]
    assert context["modality"] == "MRI"
    assert [one["role"] for one in context["sequences"]] == ["T1c", "T1", "T2", "FLAIR"]
    assert context["volume"] == context["sequences"][0]["volume"]
    highest = [
        max(np.frombuffer(fake_backend.volumes[one["volume"]].voxels, np.int16))
        for one in context["sequences"]
    ]
    assert highest == [3, 2, 4, 1]


def test_a_segmentation_becomes_five_true_files(run, scan_file, tmp_path):
    done = run("Segment the lungs.")
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "Model: The left lung measures" in done.stdout
    folder = tmp_path / "out"
    labels = SimpleITK.ReadImage(str(folder / "segmentation.seg.nrrd"))
    scan = SimpleITK.ReadImage(str(scan_file))
    values = SimpleITK.GetArrayFromImage(
        SimpleITK.Resample(labels, scan, SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor)
    )
    lungs = SimpleITK.GetArrayFromImage(scan) == -820
    both = 2 * np.count_nonzero((values > 0) & lungs) / (np.count_nonzero(values) + np.count_nonzero(lungs))
    assert both > 0.9  # the scripted expert cuts them with a box
    with (folder / "measurements.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["segment"] for row in rows] == ["left lung", "right lung"]
    assert sum(float(row["volume_ml"]) for row in rows) == pytest.approx(
        np.count_nonzero(values) * 0.027, rel=1e-3
    )
    assert coloured_share(np.asarray(Image.open(folder / "view.png").convert("RGB"))) > 0.02
    transcript = json.loads((folder / "transcript.json").read_text())
    (turn,) = transcript["turns"]
    assert (folder / turn["replies"][0]["images_as_seen"][0]["image"]).read_bytes().startswith(b"\x89PNG")
    assert "not for diagnosis" in (folder / "report.md").read_text()


def test_an_answer_without_an_expert_says_what_could_not_be_made(run, tmp_path):
    done = run("What is this?")
    assert done.returncode == 3
    assert "answered without an expert" in done.stdout
    assert "segmentation.seg.nrrd" in done.stdout
    assert (tmp_path / "out" / "report.md").is_file()
    assert not (tmp_path / "out" / "view.png").exists()


def test_findings_become_a_picture_with_the_strongest_heat_map(run, tmp_path, data_folder):
    radiograph = data_folder / "radiograph" / "RG1_UNCR.dcm"
    if not radiograph.is_file():
        pytest.skip("the radiograph is not there: python3 setup_backend.py test fetches it")
    done = run("What does this x-ray show?", **{"--volume": str(radiograph)})
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    folder = tmp_path / "out"
    assert coloured_share(np.asarray(Image.open(folder / "view.png").convert("RGB"))) > 0.002
    (turn,) = json.loads((folder / "transcript.json").read_text())["turns"]
    assert (folder / turn["experts"][0]["heat_maps"]["effusion"]).read_bytes().startswith(b"\x89PNG")
    assert "Effusion: probability 0.82" in (folder / "report.md").read_text()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"--volume": "/nowhere/scan.nrrd"}, "no file or folder"),
        ({"--backend": "http://127.0.0.1:9"}, "Nothing listens at http://127.0.0.1:9"),
        ({"--ask": " "}, "no question"),
        ({"--key-file": "/nowhere/key"}, "cannot be read"),
    ],
)
def test_what_cannot_work_ends_with_a_word_that_helps(run, changes, word):
    done = run("Segment the lungs.", **changes)
    assert done.returncode == 1
    assert word in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_checks_find_files_that_lie(tmp_path):
    Image.new("RGB", (1624, 1300)).save(tmp_path / "view.png")
    SimpleITK.WriteImage(
        SimpleITK.Image(4, 4, 4, SimpleITK.sitkUInt8), str(tmp_path / "segmentation.seg.nrrd")
    )
    (tmp_path / "measurements.csv").write_text("segment,volume_ml\n")
    (tmp_path / "report.md").write_text("# Draft report")
    (tmp_path / "transcript.json").write_text('{"turns": []}')
    found = {problem.file for problem in check_outputs(tmp_path, (600, 800))}
    names = {"view.png", "segmentation.seg.nrrd", "measurements.csv", "report.md", "transcript.json"}
    assert found == names
    assert {problem.reason for problem in check_outputs(tmp_path / "no", (600, 800))} == {
        "it was not written"
    }
