"""What kind of image a scan is, guessed where the file does not say."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import slicer

from VILAM3SlicerLib.scene.volumes import voxel_array

DICOM_MODALITY = "DICOM.Modality"
"""Attribute of a volume node, or of its subject hierarchy item, where Slicer's DICOM import puts it."""

UNKNOWN = "Unknown"

MODALITIES = ("CT", "MRI", "CXR", "US", UNKNOWN)
"""What a person may say that a scan is."""

_OF_DICOM = {"CT": "CT", "MR": "MRI", "CR": "CXR", "DX": "CXR", "US": "US"}

_NAMES = (
    ("MRI", re.compile(r"(?<![a-z0-9])(mri?|t1|t1ce|t1c|t2|t2w|t1w|flair|dwi|adc)(?![a-z0-9])")),
    ("CXR", re.compile(r"(?<![a-z0-9])(cxr|chest[ _-]?x-?ray)(?![a-z0-9])")),
    ("CT", re.compile(r"(?<![a-z0-9])(ct|cta)(?![a-z0-9])")),
)
"""Words in a file's name; the published demo looks at names too."""

_AIR_HU = (-1100, -900)
_SAMPLE_STEP = 7


def guess_modality(scene: Any, node: Any) -> str:
    """``CT``, ``MRI``, ``CXR``, ``US`` or ``Unknown``: by DICOM, else by the values, else by the name.

    The node must have passed ``volumes.check_volume``.
    """
    told = _told_by_dicom(scene, node)
    if told is not None:
        return _OF_DICOM.get(told, UNKNOWN)
    if _is_hounsfield(node):
        return "CT"
    return _told_by_name(node.GetName() or "")


def _told_by_dicom(scene: Any, node: Any) -> str | None:
    attribute = node.GetAttribute(DICOM_MODALITY)
    if attribute:
        return str(attribute)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = hierarchy.GetItemByDataNode(node) if hierarchy is not None else 0
    return (hierarchy.GetItemAttribute(item, DICOM_MODALITY) or None) if item else None


def _is_hounsfield(node: Any) -> bool:
    """Air near -1000 and tissue near 0 in three dimensions, which only CT has."""
    sample = voxel_array(node)[:, ::_SAMPLE_STEP, ::_SAMPLE_STEP]
    if min(node.GetImageData().GetDimensions()) < 2 or sample.dtype.kind not in "if":
        return False
    air = np.mean((sample > _AIR_HU[0]) & (sample < _AIR_HU[1]))
    tissue = np.mean((sample > -200) & (sample < 300))
    return bool(air > 0.005 and tissue > 0.02)


def _told_by_name(name: str) -> str:
    return next((modality for modality, words in _NAMES if words.search(name.lower())), UNKNOWN)
