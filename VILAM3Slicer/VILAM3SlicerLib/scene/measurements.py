"""Sizes of segments, measured in the scene and so independent of what a backend says."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import numpy as np
from vtkmodules.vtkCommonCore import vtkDoubleArray, vtkIdTypeArray, vtkStringArray

from VILAM3SlicerLib.scene.diameters import longest_diameter_in_steps
from VILAM3SlicerLib.scene.geometry import image_to_ras
from VILAM3SlicerLib.scene.label_counts import CountedLayers, LabelCounts
from VILAM3SlicerLib.scene.segment_origin import read_fingerprint, read_origin
from VILAM3SlicerLib.scene.segmentation import LABELMAP, segment_ids, segment_of
from VILAM3SlicerLib.scene.steps import Steps, finish

COLUMNS = ("segment", "volume_ml", "longest_diameter_mm", "voxels", "voxel_ml", "expert", "version", "edited")
_COLUMN_TYPES = {
    "volume_ml": vtkDoubleArray,
    "longest_diameter_mm": vtkDoubleArray,
    "voxels": vtkIdTypeArray,
    "voxel_ml": vtkDoubleArray,
}

Row = tuple[str | int | float, ...]
"""The values of ``COLUMNS``; a number that there is not is NaN."""

_LESION = re.compile(
    r"\b(tumou?rs?|lesions?|cysts?|nodules?|mass(es)?|metasta\w+|cancers?|carcinomas?|neoplasms?)\b",
    re.IGNORECASE,
)


def is_lesion(name: str) -> bool:
    """Whether a segment is of a kind whose diameter is reported: a tumour, cyst, nodule, ..."""
    return _LESION.search(name) is not None


@dataclass(frozen=True)
class Measurement:
    """One segment: its size before any parent transform, which expert made it, whether somebody edited it.

    ``longest_mm`` is the longest diameter (see ``diameters``) of a lesion, None for anything else.
    """

    segment_id: str
    name: str
    voxels: int
    voxel_ml: float
    expert: str
    version: str
    longest_mm: float | None = None
    edited: bool = False

    @property
    def volume_ml(self) -> float:
        """Number of voxels times the volume of one."""
        return self.voxels * self.voxel_ml


def measure(segmentation_node: Any, ids: Sequence[str] | None = None) -> list[Measurement]:
    """``measure_in_steps`` at once, of all segments or of some.

    Raises:
        SceneError: one of ``ids`` is not there.
    """
    chosen = segment_ids(segmentation_node) if ids is None else ids
    return finish(measure_in_steps(segmentation_node, chosen, CountedLayers()))


def measure_in_steps(
    segmentation_node: Any, ids: Sequence[str], counted: CountedLayers
) -> Steps[list[Measurement]]:
    """The sizes of segments from their labelmaps; about 0.1 s a layer of 512x512x133, and a step for each
    slice of a lesion.

    Raises:
        SceneError: one of ``ids`` is not there, or went meanwhile.
    """
    measured = []
    for segment_id in ids:
        segment = segment_of(segmentation_node, segment_id)
        counts = yield from counted.of_in_steps(segment.GetRepresentation(LABELMAP))
        longest = (yield from longest_diameter_in_steps(segment)) if is_lesion(segment.GetName()) else None
        measured.append(_measurement(segment_id, segment, counts, longest))
        yield
    return measured


def _measurement(segment_id: str, segment: Any, counts: LabelCounts, longest: float | None) -> Measurement:
    matrix = image_to_ras(segment.GetRepresentation(LABELMAP))
    origin = read_origin(segment)
    label = [segment.GetLabelValue()]
    return Measurement(
        segment_id=segment_id,
        name=segment.GetName(),
        voxels=counts.voxels(label),
        voxel_ml=float(abs(np.linalg.det(matrix[:3, :3]))) / 1000.0,
        expert=origin.expert if origin else "",
        version=origin.version if origin else "",
        longest_mm=longest,
        edited=origin is not None and counts.fingerprint(label) != read_fingerprint(segment),
    )


def to_csv(measurements: Sequence[Measurement]) -> str:
    """A table with a head line, comma separated, one segment a line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(map(_blank_unless_known, map(_row, measurements)))
    return text.getvalue()


def _blank_unless_known(row: Row) -> list[str | int | float]:
    return ["" if isinstance(value, float) and isnan(value) else value for value in row]


def write_table(table_node: Any, measurements: Sequence[Measurement]) -> None:
    """Fill a ``vtkMRMLTableNode`` with the same columns; what it held is removed."""
    table_node.RemoveAllColumns()
    rows = [_row(measurement) for measurement in measurements]
    for number, name in enumerate(COLUMNS):
        array: Any = _COLUMN_TYPES.get(name, vtkStringArray)()
        array.SetName(name)
        for row in rows:
            array.InsertNextValue(row[number])
        table_node.AddColumn(array)


def _row(measurement: Measurement) -> Row:
    longest = measurement.longest_mm
    return (
        measurement.name,
        round(measurement.volume_ml, 3),
        round(longest, 2) if longest is not None else nan,
        measurement.voxels,
        measurement.voxel_ml,
        measurement.expert,
        measurement.version,
        "yes" if measurement.edited else "",
    )
