"""The volumes of a scene that may be sequences of an MRI study."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import slicer

from VILAM3SlicerLib.protocol.errors import UnsupportedVolume
from VILAM3SlicerLib.protocol.mri_sequences import SequenceCandidate
from VILAM3SlicerLib.scene.modality import UNKNOWN, guess_modality
from VILAM3SlicerLib.scene.volumes import check_volume, volume_nodes

SERIES_DESCRIPTION = "DICOM.SeriesDescription"
"""Attribute of a volume node, or of its subject hierarchy item, with DICOM's own words for the series."""


def sequence_candidates(
    scene: Any, patients: Mapping[str, str], modality_of: Callable[[Any, Any], str] = guess_modality
) -> tuple[SequenceCandidate, ...]:
    """What may be an MRI sequence; volumes known to be something else are left out.

    The key of a candidate is its node's ID.

    Args:
        patients: for the IDs of volume nodes whose files told of a patient something that is equal for one
            patient's volumes; Slicer's own DICOM import tells it through the subject hierarchy.
        modality_of: takes the scene and a volume node, as ``guess_modality``, which looks at its voxels.
    """
    nodes = [node for node in volume_nodes(scene) if _may_be(scene, node, modality_of)]
    return tuple(_candidate(scene, node, patients) for node in nodes)


def _may_be(scene: Any, node: Any, modality_of: Callable[[Any, Any], str]) -> bool:
    try:
        check_volume(node)
    except UnsupportedVolume:
        return False
    return modality_of(scene, node) in ("MRI", UNKNOWN)


def _candidate(scene: Any, node: Any, patients: Mapping[str, str]) -> SequenceCandidate:
    i, j, k = node.GetImageData().GetDimensions()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = hierarchy.GetItemByDataNode(node) if hierarchy is not None else 0
    told = node.GetAttribute(SERIES_DESCRIPTION)
    if not told and item:
        told = hierarchy.GetItemAttribute(item, SERIES_DESCRIPTION)
    patient = patients.get(node.GetID()) or _patient(hierarchy, item)
    return SequenceCandidate(node.GetID(), node.GetName() or "", told or "", (i, j, k), patient)


def _patient(hierarchy: Any, item: int) -> str:
    """The item of the patient above a volume's own, as Slicer's DICOM import makes them; empty without."""
    level = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMLevelPatient()
    above = hierarchy.GetItemAncestorAtLevel(item, level) if item else 0
    return f"{level} {above}" if above else ""
