"""The segment that a place lies in."""

from __future__ import annotations

import nibabel
import numpy as np

from VILAM3SlicerLib.protocol.events import SegmentInfo
from VILAM3SlicerLib.protocol.nrrd import NrrdVolume
from VILAM3SlicerLib.scene.geometry import to_wire
from VILAM3SlicerLib.scene.result_segments import ResultSegments
from VILAM3SlicerLib.scene.segment_origin import Origin
from VILAM3SlicerLib.scene.segmentation import find_segmentation
from VILAM3SlicerLib.scene.segments_at import segment_at
from VILAM3SlicerLib.scene.terminology import SlicerTerminology

SHAPE = (9, 8, 7)


def test_the_smallest_segment_at_a_place_is_named(
    scene, app_logic, make_volume, put_under_transform, ijk_to_ras
) -> None:
    """A tumour of one voxel in a liver; the scan, and so its segments, under a transform."""
    labels = np.zeros(SHAPE, np.uint8, order="F")
    labels[2:7, 2:6, 2:6] = 1
    labels[4, 3, 5] = 2
    node = make_volume(np.zeros(SHAPE, np.int16), ijk_to_ras)
    moved = np.eye(4)
    moved[:3, 3] = (40, -7, 3)
    put_under_transform(node, moved)
    results = ResultSegments(scene, SlicerTerminology(app_logic))
    labelmap = NrrdVolume("uint8", SHAPE, to_wire(ijk_to_ras), labels.tobytes(order="F"))
    named = (
        SegmentInfo("liver", (1, 2), "", 80, 0.1, None),
        SegmentInfo("hepatic tumor", (2,), "", 1, 0.1, None),
    )
    results.add(node, labelmap, named, Origin("turn", "TEST", "1"))
    segmentation = find_segmentation(scene, node)

    def at(*voxel: float) -> str | None:
        return segment_at(segmentation, nibabel.affines.apply_affine(moved @ ijk_to_ras, voxel))

    assert at(4, 3, 5) == "hepatic tumor"
    assert at(4.4, 2.6, 5.4) == "hepatic tumor"
    assert at(3, 3, 5) == "liver"
    assert at(0, 0, 0) is None
    assert at(50, 0, 0) is None
