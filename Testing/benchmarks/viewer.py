"""How long the viewer's own work takes on a scan of 512x512x133 with ten labels; prints a table.

python Testing/benchmarks/viewer.py
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

from VILAM3SlicerLib.protocol.events import SegmentInfo
from VILAM3SlicerLib.protocol.nrrd import NrrdVolume, decode_nrrd, encode_nrrd

SHAPE = (512, 512, 133)
LABELS = 10
REPEATS = 5


def main() -> None:
    """Run all measurements."""
    from trame_slicer.core import SlicerApp

    from VILAM3SlicerLib.scene.arrays import as_vtk
    from VILAM3SlicerLib.scene.capture import capture
    from VILAM3SlicerLib.scene.result_segments import ResultSegments
    from VILAM3SlicerLib.scene.segment_origin import Origin
    from VILAM3SlicerLib.scene.segmentation import find_segmentation
    from VILAM3SlicerLib.scene.terminology import SlicerTerminology
    from VILAM3SlicerLib.scene.views import slice_view
    from VILAM3SlicerLib.scene.volumes import hash_volume, nrrd_pieces, read_volume

    app = SlicerApp()
    view = axial_view(app)
    scan = volume_node(app.scene, as_vtk)
    view.set_background_volume_id(scan.GetID())
    view.fit_view_to_content()
    view.render()
    shown = slice_view(app.app_logic, view.get_view_node().GetLayoutName())
    report("picture as seen, 512x512", best(lambda: capture(shown, "as_seen", "CT")))
    report("picture as published", best(lambda: capture(shown, "published", "CT")))
    volume = read_volume(scan)
    report("content hash", best(lambda: hash_volume(volume)))
    report("NRRD in pieces", best(lambda: list(nrrd_pieces(volume))))

    segments = tuple(SegmentInfo(f"part {one}", (one,), "", 0, 0.0, None) for one in range(1, LABELS + 1))
    results = ResultSegments(app.scene, SlicerTerminology(app.app_logic))
    body = encode_nrrd(NrrdVolume("uint8", SHAPE, volume.ijk_to_ras, labelmap().tobytes("F")), compress=True)
    start = time.perf_counter()
    received = decode_nrrd(body)
    report("labelmap unpacked", time.perf_counter() - start)
    longest = 0.0
    begin = piece = time.perf_counter()
    for _ in results.add_in_steps(scan, received, segments, Origin("turn-1", "BENCH", "1")):
        longest = max(longest, time.perf_counter() - piece)
        piece = time.perf_counter()
    report("10 segments in the scene", time.perf_counter() - begin)
    report("  longest stop of the user interface", longest)
    view.render()
    report("10 segments on the slice, unpacking included", time.perf_counter() - start)
    report_surfaces(find_segmentation(app.scene, scan))
    report("undo of the turn", timed(lambda: results.remove_turn(scan, "turn-1")))


def report_surfaces(node: Any) -> None:
    """Ours in the child process, with the longest time that the user interface stood still, and Slicer's."""
    from VILAM3SlicerLib.scene.segmentation import CLOSED_SURFACE, segment_ids
    from VILAM3SlicerLib.scene.surfaces import SurfaceJob

    job, longest, first = SurfaceJob(node, segment_ids(node)), 0.0, 0.0
    start = time.perf_counter()
    while not job.finished:
        step = time.perf_counter()
        if job.step() and not first:
            first = time.perf_counter() - start
        longest = max(longest, time.perf_counter() - step)
        time.sleep(0.005)
    report("surfaces of 10 segments, child process", time.perf_counter() - start)
    report("  until the first surface", first)
    report("  longest stop of the user interface", longest)
    report("  triangles", sum(triangles(node)), "")
    node.GetSegmentation().RemoveRepresentation(CLOSED_SURFACE)
    report("surfaces of 10 segments, Slicer's own (blocks)", timed(node.CreateClosedSurfaceRepresentation))
    report("  triangles", sum(triangles(node)), "")


def triangles(node: Any) -> list[int]:
    """Number of triangles of each surface."""
    from VILAM3SlicerLib.scene.segmentation import CLOSED_SURFACE, segment_ids, segment_of

    surfaces = (segment_of(node, one).GetRepresentation(CLOSED_SURFACE) for one in segment_ids(node))
    return [surface.GetNumberOfPolys() for surface in surfaces]


def axial_view(app: Any) -> Any:
    """A slice view that draws when told to."""
    from trame_slicer.views import DirectViewFactory, ViewLayoutDefinition
    from trame_slicer.views.render_scheduler import NoScheduleRendering

    app.view_manager.register_factory(DirectViewFactory(do_render_offscreen=True))
    view = app.view_manager.create_view(ViewLayoutDefinition.axial_view())
    view.set_scheduled_render(NoScheduleRendering())
    view.render_window().SetMultiSamples(0)
    view.render_window().SetSize(512, 512)
    return view


def volume_node(scene: Any, as_vtk: Callable[[Any], Any]) -> Any:
    """A scan of noise."""
    from vtkmodules.vtkCommonDataModel import vtkImageData

    voxels = np.random.default_rng(0).integers(-1000, 1000, SHAPE[::-1], dtype=np.int16)
    image = vtkImageData()
    image.SetDimensions(SHAPE)
    image.GetPointData().SetScalars(as_vtk(voxels.ravel()))
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan")
    node.SetAndObserveImageData(image)
    node.SetSpacing(0.7, 0.7, 2.5)
    node.CreateDefaultDisplayNodes()
    return node


def labelmap() -> np.ndarray:
    """Ten blobs of the size of organs, in IJK order."""
    labels = np.zeros(SHAPE, np.uint8)
    for one in range(LABELS):
        centre = np.array([(one % 5 + 0.5) / 5, (one // 5 + 0.5) / 2, 0.5]) * SHAPE
        radii = np.array([48, 110, 60])
        start, stop = (centre - radii).astype(int), (centre + radii).astype(int)
        axes = [np.arange(a, b) for a, b in zip(start, stop, strict=True)]
        grid = np.meshgrid(*axes, indexing="ij", sparse=True)
        inside = sum(((grid[axis] - centre[axis]) / radii[axis]) ** 2 for axis in range(3)) < 1
        labels[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))][inside] = one + 1
    return labels


def best(action: Callable[[], object]) -> float:
    """Seconds of the fastest of some runs."""
    return min(timed(action) for _ in range(REPEATS))


def timed(action: Callable[[], object]) -> float:
    """Seconds of one run."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def report(what: str, value: float, unit: str = "s") -> None:
    """A line of the table; short times in ms."""
    if unit == "s" and value < 1:
        print(f"{what:<50}{value * 1000:>10.1f} ms", flush=True)
    else:
        print(f"{what:<50}{value:>10.2f} {unit}" if unit else f"{what:<50}{value:>10}", flush=True)


if __name__ == "__main__":
    main()
