"""Sizes and points of segments, against SimpleITK's label statistics."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK

from inference_backend.experts.interface import Segment, Segmentation
from inference_backend.experts.measurement import measure
from inference_backend.imaging.volume import Volume

OBLIQUE = np.array([[0.6, 0.8, 0, 5], [-0.8, 0.6, 0, -7], [0, 0, 2.5, 40], [0, 0, 0, 1.0]])


@pytest.fixture
def labelmap() -> Volume:
    voxels = np.zeros((30, 32, 12), np.uint8)
    distance = np.hypot(*np.meshgrid(np.arange(30) - 15, np.arange(32) - 15, indexing="ij"))
    voxels[(distance > 8) & (distance < 12)] = 1
    voxels[13:18, 13:18, 3:9] = 2
    voxels[2, 3, 11] = 4
    return Volume(np.asfortranarray(voxels), OBLIQUE)


SEGMENTS = (
    Segment("ring", (1,)),
    Segment("block", (2,)),
    Segment("both", (1, 2), "tissue"),
    Segment("dot", (4,)),
    Segment("nothing", (3, 200)),
)


def test_sizes_are_those_of_simpleitk(labelmap: Volume) -> None:
    statistics = SimpleITK.LabelShapeStatisticsImageFilter()
    image = SimpleITK.GetImageFromArray(labelmap.voxels.transpose(2, 1, 0))
    image.SetSpacing(labelmap.spacing.tolist())
    statistics.Execute(image)
    infos = {info.name: info for info in measure(Segmentation(labelmap, SEGMENTS))}
    for name, label in (("ring", 1), ("block", 2), ("dot", 4)):
        assert infos[name].voxel_count == statistics.GetNumberOfPixels(label)
        assert infos[name].volume_ml == pytest.approx(statistics.GetPhysicalSize(label) / 1000)
    assert infos["both"].voxel_count == infos["ring"].voxel_count + infos["block"].voxel_count
    assert infos["both"].terminology == "tissue"


def test_the_point_lies_inside_the_segment_even_of_a_ring(labelmap: Volume) -> None:
    for info in measure(Segmentation(labelmap, SEGMENTS[:4])):
        assert info.center is not None
        ijk = np.rint(labelmap.ras_to_ijk @ (*info.center, 1.0))[:3].astype(int)
        assert labelmap.voxels[tuple(ijk)] in info.label_values


def test_a_segment_without_voxels_has_no_point(labelmap: Volume) -> None:
    (info,) = measure(Segmentation(labelmap, SEGMENTS[4:]))
    assert (info.voxel_count, info.volume_ml, info.center) == (0, 0.0, None)
