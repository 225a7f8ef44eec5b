"""Volumes of a scene that may be sequences of a study, and what Slicer knows of them."""

from __future__ import annotations

import numpy as np
import slicer

from Testing.VILAM3SlicerLib.scene.conftest import STORED_AS
from VILAM3SlicerLib.scene.sequence_candidates import SERIES_DESCRIPTION, sequence_candidates

VOXELS = np.arange(9 * 8 * 7, dtype=np.int16).reshape(9, 8, 7)


def put_under_patient(scene, node, name: str) -> None:
    """As Slicer's DICOM import does: patient, study, series."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    constants = slicer.vtkMRMLSubjectHierarchyConstants
    patient = hierarchy.GetItemChildWithName(hierarchy.GetSceneItemID(), name) or hierarchy.CreateSubjectItem(
        hierarchy.GetSceneItemID(), name
    )
    hierarchy.SetItemLevel(patient, constants.GetDICOMLevelPatient())
    study = hierarchy.CreateStudyItem(patient, "study")
    hierarchy.CreateItem(study, node)


def test_volumes_that_may_be_mri_are_listed_with_their_words(scene, make_volume) -> None:
    flair = make_volume(VOXELS, STORED_AS["RAS"], "7: ax")
    flair.SetAttribute(SERIES_DESCRIPTION, "AX FLAIR")
    make_volume(VOXELS, STORED_AS["LPS"], "series 3")
    make_volume(VOXELS, STORED_AS["RAS"], "ct_chest")
    make_volume(VOXELS.astype(np.uint8), STORED_AS["RAS"], "labels", "vtkMRMLLabelMapVolumeNode")
    scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "t1 without voxels")
    first, second = sequence_candidates(scene, {})
    assert (first.key, first.description, first.role) == (flair.GetID(), "AX FLAIR", "FLAIR")
    assert (second.name, second.size, second.role) == ("series 3", (9, 8, 7), "")


def test_patients_are_told_apart_by_slicers_hierarchy(scene, make_volume) -> None:
    nodes = [make_volume(VOXELS, STORED_AS["RAS"], name) for name in ("t1", "t2", "flair", "t1c")]
    for node, patient in zip(nodes, ("A", "A", "B"), strict=False):
        put_under_patient(scene, node, patient)
    t1, t2, flair, t1c = sequence_candidates(scene, {})
    assert t1.patient == t2.patient != ""
    assert flair.patient not in ("", t1.patient)
    assert t1c.patient == ""


def test_a_front_end_can_tell_of_patients_itself(scene, make_volume) -> None:
    node = make_volume(VOXELS, STORED_AS["RAS"], "t1")
    assert sequence_candidates(scene, {node.GetID(): "x"})[0].patient == "x"
