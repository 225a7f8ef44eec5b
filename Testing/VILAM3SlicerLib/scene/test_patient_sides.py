"""The letters at the edges of a view name the side of the patient that lies there."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from VILAM3SlicerLib.scene.geometry import to_numpy
from VILAM3SlicerLib.scene.patient_sides import PatientSides, patient_sides

SHAPE = (38, 46, 30)
OPPOSITE = {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S"}


@pytest.mark.parametrize(
    ("plane", "sides"),
    [
        ("Axial", PatientSides("R", "L", "A", "P")),
        ("Coronal", PatientSides("R", "L", "S", "I")),
        ("Sagittal", PatientSides("A", "P", "S", "I")),
    ],
)
def test_slicers_standard_planes(make_volume, make_view, ijk_to_ras, plane, sides):
    view = make_view(make_volume(np.zeros(SHAPE, np.int16), ijk_to_ras), plane, (90, 70), "Red")
    assert patient_sides(to_numpy(view.node.GetSliceToRAS())) == sides


@pytest.mark.parametrize("seed", range(20))
def test_the_first_letter_is_what_nibabel_calls_the_direction(seed):
    random = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(random.normal(size=(3, 3)))
    slice_to_world = np.eye(4)
    slice_to_world[:3, :3] = rotation * random.uniform(0.3, 4, 3)
    sides = patient_sides(slice_to_world)
    for axis, towards, away in ((0, sides.right, sides.left), (1, sides.top, sides.bottom)):
        column = rotation[:, axis]
        alone = np.diag(np.append(np.where(np.arange(3) == np.argmax(abs(column)), np.sign(column), 1), 1))
        assert towards[0] == nibabel.aff2axcodes(alone)[np.argmax(abs(column))]
        assert [OPPOSITE[letter] for letter in towards] == list(away)


def test_an_oblique_view_names_both_sides_that_it_leans_to():
    turn = np.deg2rad(30)
    slice_to_world = np.eye(4)
    slice_to_world[:3, 0] = -np.cos(turn), np.sin(turn), 0
    slice_to_world[:3, 1] = np.sin(turn), np.cos(turn), 0
    assert patient_sides(slice_to_world) == PatientSides("RP", "LA", "AR", "PL")
