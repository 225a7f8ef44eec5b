"""Sizes counted in the scene."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from VILAM3SlicerLib.protocol.events import SegmentInfo
from VILAM3SlicerLib.protocol.nrrd import NrrdVolume
from VILAM3SlicerLib.scene.geometry import ijk_to_ras as node_ijk_to_ras
from VILAM3SlicerLib.scene.geometry import to_wire
from VILAM3SlicerLib.scene.measurements import measure, to_csv, write_table
from VILAM3SlicerLib.scene.result_segments import ResultSegments
from VILAM3SlicerLib.scene.segment_origin import Origin
from VILAM3SlicerLib.scene.segmentation import find_segmentation
from VILAM3SlicerLib.scene.terminology import SlicerTerminology

SHAPE = (20, 37, 12)


@pytest.fixture
def labels() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 3, SHAPE).astype(np.uint8)


@pytest.fixture
def node(labels, ijk_to_ras, make_volume, scene, app_logic):
    scan = make_volume(np.zeros(SHAPE, np.int16), ijk_to_ras)
    labelmap = NrrdVolume("uint8", SHAPE, to_wire(node_ijk_to_ras(scan)), labels.tobytes("F"))
    segments = [
        SegmentInfo(name, values, "", 999, 999.0, None)
        for name, values in (('fat, "visceral"', (1,)), ("bone", (2,)), ("both", (1, 2)), ("none", (7,)))
    ]
    origin = Origin("turn-1", "CT_TISSUE", "1.0")
    ResultSegments(scene, SlicerTerminology(app_logic)).add(scan, labelmap, segments, origin)
    return find_segmentation(scene, scan)


def test_sizes_are_counted_not_believed(node, labels, ijk_to_ras):
    voxel_ml = abs(np.linalg.det(ijk_to_ras[:3, :3])) / 1000
    expected = [(labels == 1).sum(), (labels == 2).sum(), (labels > 0).sum(), 0]
    found = measure(node)
    assert [one.voxels for one in found] == expected
    assert [one.volume_ml for one in found] == pytest.approx([count * voxel_ml for count in expected])
    assert [one.name for one in measure(node, ["bone"])] == ["bone"]


def test_table_can_be_read_by_a_spreadsheet(node, labels):
    rows = list(csv.DictReader(io.StringIO(to_csv(measure(node)))))
    assert rows[0]["segment"] == 'fat, "visceral"'
    assert int(rows[0]["voxels"]) == (labels == 1).sum()
    assert rows[1]["expert"] == "CT_TISSUE"


def test_table_node_has_numbers_and_is_filled_anew(node, labels, scene):
    table = scene.AddNewNodeByClass("vtkMRMLTableNode")
    for _ in range(2):
        write_table(table, measure(node))
    assert (table.GetNumberOfRows(), table.GetNumberOfColumns()) == (4, 8)
    assert table.GetTable().GetValueByName(1, "voxels").ToInt() == (labels == 2).sum()
    assert table.GetTable().GetColumnByName("volume_ml").IsNumeric()
