"""Longest diameters against pyradiomics' published numbers, and against all pairs of points."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from Testing.VILAM3SlicerLib.scene.conftest import STORED_AS
from VILAM3SlicerLib.scene.diameters import longest_axial_in_steps
from VILAM3SlicerLib.scene.steps import finish


def longest(labels: np.ndarray, ijk_to_ras: np.ndarray, value: int = 1) -> float:
    """Of an array in IJK order."""
    return finish(longest_axial_in_steps(np.ascontiguousarray(labels.transpose(2, 1, 0)), value, ijk_to_ras))


@pytest.fixture
def cases(data_folder: Path) -> Path:
    folder = data_folder / "pyradiomics" / "data"
    if not folder.is_dir():
        pytest.skip("The cases of pyradiomics are not here: run python3 setup_backend.py test")
    return folder


@pytest.mark.parametrize("case", ["brain2", "lung2"])  # in the others its longest line joins two slices
def test_published_diameters_of_real_lesions(cases, case):
    with (cases / "baseline" / "baseline_shape.csv").open() as file:
        published = {row["featureName"]: row[case] for row in csv.DictReader(file)}
    image = SimpleITK.ReadImage(str(cases / f"{case}_label.nrrd"))
    matrix = np.eye(4)
    matrix[:3, :3] = np.diag(image.GetSpacing())
    labels = SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0)
    assert longest(labels, matrix) == pytest.approx(float(published["original_shape_Maximum2DDiameterSlice"]))


def brute_force(mask: np.ndarray, ijk_to_ras: np.ndarray, superior: int) -> float:
    """All pairs of middles of pixel sides in each slice."""
    first, second = (axis for axis in range(3) if axis != superior)
    best = 0.0
    for index in range(mask.shape[superior]):
        voxels = np.argwhere(mask.take(index, axis=superior)).astype(float)
        if len(voxels):
            sides = np.concatenate([voxels + side for side in ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5))])
            points = sides @ ijk_to_ras[:3, [first, second]].T
            best = max(best, np.linalg.norm(points[:, None] - points[None], axis=2).max())
    return best


@pytest.mark.parametrize("stored_as", sorted(STORED_AS))
def test_any_geometry_and_shape_as_all_pairs_say(stored_as):
    superior = 1 if stored_as == "permuted" else 2
    shape, matrix = (15, 14, 13), STORED_AS[stored_as]
    axes = np.indices(shape)
    mask = sum((axes[axis] - 6.3) ** 2 / radius for axis, radius in enumerate((30, 12, 20))) < 1
    mask |= (np.abs(axes[0] - axes[1 if superior == 2 else 2]) < 2) & (axes[superior] == 6)
    assert longest(mask.astype(np.uint8), matrix) == pytest.approx(brute_force(mask, matrix, superior))


def test_no_line_runs_from_one_lesion_to_another():
    labels = np.zeros((40, 10, 3), np.uint8)
    labels[2:7, 4, 1] = labels[30:38, 4, 1] = 1
    assert longest(labels, np.diag([2.0, 3.0, 5.0, 1.0])) == pytest.approx(8 * 2.0)


@pytest.mark.parametrize("mirrored", [False, True])
def test_corners_that_touch_belong_together_and_other_values_do_not(mirrored):
    labels = np.zeros((6, 6, 1), np.uint8)
    labels[1, 1, 0] = labels[2, 2, 0] = 1
    labels[3, 3, 0] = 2
    labels = labels[::-1] if mirrored else labels
    assert longest(labels, np.eye(4)) == pytest.approx(np.hypot(2, 1))
    assert longest(labels, np.eye(4), value=3) == 0.0
