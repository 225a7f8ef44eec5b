"""Surfaces from the child process against Slicer's own, and what happens when it is stopped or killed."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import gettempdir

import numpy as np
import pytest

from Testing.VILAM3SlicerLib.scene.conftest import STORED_AS, affine, rotation
from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.protocol.events import SegmentInfo
from VILAM3SlicerLib.scene.arrays import as_numpy
from VILAM3SlicerLib.scene.geometry import ijk_to_ras as node_ijk_to_ras
from VILAM3SlicerLib.scene.geometry import to_wire
from VILAM3SlicerLib.scene.result_segments import ResultSegments
from VILAM3SlicerLib.scene.segment_origin import Origin
from VILAM3SlicerLib.scene.segmentation import (
    CLOSED_SURFACE,
    LABELMAP,
    find_segmentation,
    remove_segments,
    segment_of,
)
from VILAM3SlicerLib.scene.surface_worker import closed_surface
from VILAM3SlicerLib.scene.surfaces import (
    SurfaceJob,
    segments_without_surface,
    surface_bounds,
    without_surfaces,
)
from VILAM3SlicerLib.scene.terminology import SlicerTerminology

SHAPE = (40, 36, 30)
PATIENCE_S = 120


def ellipsoid(shape, centre, radii) -> np.ndarray:
    indices = np.indices(shape)
    return sum(((indices[axis] - centre[axis]) / radii[axis]) ** 2 for axis in range(3)) < 1


@pytest.fixture
def labels() -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels[ellipsoid(SHAPE, (11, 14, 15), (8, 10, 12))] = 1
    labels[ellipsoid(SHAPE, (29, 22, 12), (9, 8, 7))] = 2
    return labels


@pytest.fixture
def show(scene, app_logic, make_volume):
    """``show(labels, ijk_to_ras, turn)`` gives the segmentation node with both segments."""
    results = ResultSegments(scene, SlicerTerminology(app_logic))
    segments = (SegmentInfo("one", (1,), "", 0, 0.0, None), SegmentInfo("two", (2,), "", 0, 0.0, None))

    def put(labels: np.ndarray, matrix: np.ndarray):
        from VILAM3SlicerLib.protocol.nrrd import NrrdVolume

        scan = make_volume(np.zeros(labels.shape, np.int16), matrix)
        labelmap = NrrdVolume("uint8", labels.shape, to_wire(node_ijk_to_ras(scan)), labels.tobytes("F"))
        results.add(scan, labelmap, segments, Origin("turn-1", "TEST", "1"))
        return find_segmentation(scene, scan)

    return put


def run(job: SurfaceJob) -> list[str]:
    came, end = [], time.monotonic() + PATIENCE_S
    while not job.finished:
        assert time.monotonic() < end, "the surfaces never came"
        attached = job.step()
        came += [attached] if attached else []
        time.sleep(0.005)
    return came


def distances(source, target) -> np.ndarray:
    from vtkmodules.vtkFiltersCore import vtkImplicitPolyDataDistance

    distance = vtkImplicitPolyDataDistance()
    distance.SetInput(target)
    points = as_numpy(source.GetPoints().GetData())
    return np.array([abs(distance.EvaluateFunction(point)) for point in points[:: len(points) // 500 + 1]])


def surface_of(node, segment_id: str):
    return segment_of(node, segment_id).GetRepresentation(CLOSED_SURFACE)


def test_surfaces_are_where_slicers_own_are(labels, ijk_to_ras, show):
    node = show(labels, ijk_to_ras)
    assert segments_without_surface(node) == ["one", "two"]
    assert run(SurfaceJob(node, ["two", "one"])) == ["two", "one"]
    assert segments_without_surface(node) == []
    ours = {segment_id: surface_of(node, segment_id) for segment_id in ("one", "two")}
    node.GetSegmentation().RemoveRepresentation(CLOSED_SURFACE)
    assert node.CreateClosedSurfaceRepresentation()
    for segment_id, surface in ours.items():
        theirs = surface_of(node, segment_id)
        assert max(distances(surface, theirs).max(), distances(theirs, surface).max()) < 0.01


def enclosed_volume(points: np.ndarray, triangles: np.ndarray) -> float:
    first, second, third = (points[triangles[:, corner]].astype(float) for corner in range(3))
    return float(np.einsum("ij,ij->i", first, np.cross(second, third)).sum() / 6)


def test_surface_encloses_the_voxels_and_looks_outwards(labels, ijk_to_ras):
    surface = closed_surface(labels.transpose(2, 1, 0), 1, (0, 0, 0), ijk_to_ras)
    expected = (labels == 1).sum() * abs(np.linalg.det(ijk_to_ras[:3, :3]))
    assert enclosed_volume(surface["points"], surface["triangles"]) == pytest.approx(expected, rel=0.04)
    outwards = surface["points"] - surface["points"].mean(axis=0)
    assert ((outwards * surface["normals"]).sum(axis=1) > 0).all()


@pytest.mark.parametrize("geometry", ["oblique", "anisotropic", "RAS"])
def test_large_surface_is_reduced_and_stays_within_a_voxel(geometry):
    matrix = STORED_AS[geometry]
    labels = ellipsoid((110, 110, 90), (55, 55, 45), (52, 50, 42)).astype(np.uint8).transpose(2, 1, 0)
    surface = closed_surface(labels, 1, (0, 0, 0), matrix)
    faces = sum(np.count_nonzero(np.diff(labels, axis=axis)) for axis in range(3))
    assert 5_000 < len(surface["triangles"]) < faces  # at full detail there are two for each voxel's face
    expected = labels.sum(dtype=int) * abs(np.linalg.det(matrix[:3, :3]))
    assert enclosed_volume(surface["points"], surface["triangles"]) == pytest.approx(expected, rel=0.02)
    ijk = np.linalg.inv(matrix) @ np.vstack([surface["points"].T, np.ones(len(surface["points"]))])
    scaled = (ijk[:3].T - (55, 55, 45)) / (52, 50, 42)
    off_by_voxels = np.abs(np.linalg.norm(scaled, axis=1) - 1) * 52
    assert off_by_voxels.max() < 0.8
    outwards = surface["points"] - surface["points"].mean(axis=0)
    assert ((outwards * surface["normals"]).sum(axis=1) > 0).all()


def test_large_surface_has_no_seams(oblique):
    """Each edge of the mesh belongs to two triangles that run along it in opposite directions."""
    labels = ellipsoid((110, 110, 90), (55, 55, 45), (52, 50, 42))
    labels &= ~ellipsoid((110, 110, 90), (55, 55, 45), (49, 47, 39))  # a wall three voxels thick
    surface = closed_surface(labels.astype(np.uint8).transpose(2, 1, 0), 1, (0, 0, 0), oblique)
    triangles = surface["triangles"]
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    there, back = (set(map(tuple, way.tolist())) for way in (edges, edges[:, ::-1]))
    assert len(there) == len(edges)
    assert there == back
    euler = len(surface["points"]) - len(edges) // 2 + len(triangles)
    assert euler == 4  # two whole sheets, outside and inside


def test_cropped_layer_keeps_its_place(labels, oblique):
    whole = closed_surface(labels.transpose(2, 1, 0), 2, (0, 0, 0), oblique)
    cropped = closed_surface(labels.transpose(2, 1, 0)[3:, 5:, 7:], 2, (7, 5, 3), oblique)
    np.testing.assert_allclose(cropped["points"], whole["points"], atol=1e-4)


def test_segment_without_voxels_has_an_empty_surface(labels, oblique):
    assert len(closed_surface(labels.transpose(2, 1, 0), 9, (0, 0, 0), oblique)["triangles"]) == 0


def left_over() -> set[Path]:
    return set(Path(gettempdir()).glob("vilam3-surfaces-*"))


def test_cancelling_ends_the_child_and_leaves_no_files(labels, oblique, show):
    before = left_over()
    job = SurfaceJob(show(labels, oblique), ["one", "two"])
    while not left_over() - before:
        job.step()
    job.step()
    job.cancel()
    assert job.finished
    assert job.step() is None
    assert left_over() <= before


def test_failing_child_is_reported_and_the_log_has_its_reason(labels, oblique, show, tmp_path, caplog):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'ModuleNotFoundError: no vtk here' >&2\nexit 1\n")
    python.chmod(0o755)
    before = left_over()
    job = SurfaceJob(show(labels, oblique), ["one"], str(python))
    with pytest.raises(SceneError, match="could not be built"):
        run(job)
    assert "no vtk here" in caplog.text
    assert job.finished
    assert left_over() <= before


def test_a_child_that_cannot_be_started_is_reported(labels, oblique, show, tmp_path, caplog):
    node, before = show(labels, oblique), left_over()
    job = SurfaceJob(node, ["one"], str(tmp_path / "no-such-python"))
    with pytest.raises(SceneError, match="could not be built"):
        run(job)
    assert "no-such-python" in caplog.text
    assert job.finished
    assert left_over() <= before


def test_box_around_the_surfaces_is_that_of_the_voxels_in_the_world(
    labels, ijk_to_ras, show, put_under_transform
):
    node = show(labels, ijk_to_ras)
    assert surface_bounds(node) is None
    turned = affine(rotation(0, 0, 90), (1.0, 1.0, 1.0), (100.0, 0.0, 0.0))
    put_under_transform(node, turned)
    run(SurfaceJob(node, ["one", "two"]))
    voxels = np.argwhere(labels > 0)
    world = (turned @ ijk_to_ras @ np.vstack([voxels.T, np.ones(len(voxels))]))[:3]
    low, high = world.min(axis=1), world.max(axis=1)
    size = np.linalg.norm(ijk_to_ras[:3, :3], axis=0).max()
    np.testing.assert_allclose(surface_bounds(node)[::2], low, atol=1.5 * size)
    np.testing.assert_allclose(surface_bounds(node)[1::2], high, atol=1.5 * size)


def test_surfaces_taken_out_for_saving_are_put_back(labels, oblique, show):
    node = show(labels, oblique)
    run(SurfaceJob(node, ["one", "two"]))
    before = surface_of(node, "one")
    with without_surfaces(node):
        assert segments_without_surface(node) == ["one", "two"]
        node.GetSegmentation().RemoveSegment("two")
    assert surface_of(node, "one") is before
    assert segments_without_surface(node) == []


def test_segments_undone_or_edited_meanwhile_are_passed_over(labels, oblique, show):
    node = show(labels, oblique)
    job = SurfaceJob(node, ["one", "two"])
    job.step()
    remove_segments(node, ["one"])
    assert run(job) == ["two"]
    assert job.passed_over == ["one"]
    job = SurfaceJob(node, ["two"])
    job.step()
    segment_of(node, "two").GetRepresentation(LABELMAP).Modified()
    assert run(job) == []
    assert job.passed_over == ["two"]
    job.cancel()
    assert job.passed_over == []


def test_new_segments_do_not_make_slicer_build_surfaces_here(labels, oblique, show, scene, app_logic):
    node = show(labels, oblique)
    run(SurfaceJob(node, ["one", "two"]))
    node.GetSegmentation().GetSegment("two").SetName("renamed, so that it stays")
    scan = node.GetNodeReference(type(node).GetReferenceImageGeometryReferenceRole())
    from VILAM3SlicerLib.protocol.nrrd import NrrdVolume

    labelmap = NrrdVolume("uint8", SHAPE, to_wire(node_ijk_to_ras(scan)), labels.tobytes("F"))
    results = ResultSegments(scene, SlicerTerminology(app_logic))
    info = SegmentInfo("new", (1,), "", 0, 0.0, None)
    ids = results.add(scan, labelmap, (info,), Origin("turn-2", "TEST", "1"))
    assert segments_without_surface(node) == [ids["new"]]
    assert surface_of(node, "one").GetNumberOfPoints() > 0


def test_the_first_segment_never_has_a_surface_while_another_has_none(show, labels):
    """Else a 3D view would build the others at once, in Slicer's own process."""
    node = show(labels, STORED_AS["LPS"])
    segmentation = node.GetSegmentation()
    job, seen = SurfaceJob(node, segments_without_surface(node)), set()
    end = time.monotonic() + PATIENCE_S
    while not job.finished:
        assert time.monotonic() < end
        job.step()
        have = [segmentation.GetNthSegment(n).GetRepresentation(CLOSED_SURFACE) is not None for n in (0, 1)]
        seen.add(tuple(have))
    assert (True, False) not in seen
    assert (True, True) in seen
