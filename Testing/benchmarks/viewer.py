"""How long the viewer's own work takes, and how long it keeps the user interface still; prints a table.

python Testing/benchmarks/viewer.py --shape 512 512 300 --labels 117 --questions 50
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import psutil

os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

from VILAM3SlicerLib.protocol.events import SegmentInfo
from VILAM3SlicerLib.protocol.nrrd import NrrdVolume, decode_nrrd, encode_nrrd

REPEATS = 5
WARM = 10
"""Questions until the memory is looked at first: caches and Slicer's own lists have filled by then."""

Shape = tuple[int, int, int]
"""Voxels along I, J and K."""


def main() -> None:
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", type=int, nargs=3, default=(512, 512, 133), help="voxels along I, J and K")
    parser.add_argument("--labels", type=int, default=10)
    parser.add_argument("--questions", type=int, default=0, help="repeated results, to see the memory grow")
    options = parser.parse_args()
    run(tuple(options.shape), options.labels, options.questions)


def run(shape: Shape, count: int, questions: int) -> None:
    """All measurements on one scan."""
    from trame_slicer.core import SlicerApp

    from VILAM3SlicerLib.scene.arrays import as_vtk
    from VILAM3SlicerLib.scene.capture import capture
    from VILAM3SlicerLib.scene.label_counts import CountedLayers
    from VILAM3SlicerLib.scene.measurements import measure_in_steps
    from VILAM3SlicerLib.scene.result_segments import ResultSegments
    from VILAM3SlicerLib.scene.segment_origin import Origin
    from VILAM3SlicerLib.scene.segmentation import find_segmentation, layers_of, segment_ids
    from VILAM3SlicerLib.scene.steps import finish
    from VILAM3SlicerLib.scene.terminology import SlicerTerminology
    from VILAM3SlicerLib.scene.views import slice_view
    from VILAM3SlicerLib.scene.volumes import hash_volume, nrrd_pieces, read_volume

    app = SlicerApp()
    view = axial_view(app)
    scan = volume_node(app.scene, as_vtk, shape)
    view.set_background_volume_id(scan.GetID())
    view.fit_view_to_content()
    view.render()
    shown = slice_view(app.app_logic, view.get_view_node().GetLayoutName())
    report("picture as seen, 512x512", best(lambda: capture(shown, "as_seen", "CT")))
    report("picture as published", best(lambda: capture(shown, "published", "CT")))
    volume = read_volume(scan)
    report("content hash", best(lambda: hash_volume(volume)))
    report("NRRD in pieces", best(lambda: list(nrrd_pieces(volume))))

    segments = tuple(SegmentInfo(f"part {one}", (one,), "", 0, 0.0, None) for one in range(1, count + 1))
    counted = CountedLayers()
    results = ResultSegments(app.scene, SlicerTerminology(app.app_logic), counted)
    labels = labelmap(shape, count)
    body = encode_nrrd(NrrdVolume("uint8", shape, volume.ijk_to_ras, labels.tobytes("F")), compress=True)
    start = time.perf_counter()
    received = decode_nrrd(body)
    report("labelmap unpacked", time.perf_counter() - start)

    def add(turn: str) -> Iterator[None]:
        return results.add_in_steps(scan, received, segments, Origin(turn, "BENCH", "1"))

    report_steps(f"{count} segments in the scene", add("turn-1"))
    view.render()
    report("the same on the slice, unpacking included", time.perf_counter() - start)
    node = find_segmentation(app.scene, scan)
    report_steps("sizes", measure_in_steps(node, segment_ids(node), counted))
    report_surfaces(node)
    report_steps("the same result again, replacing", add("turn-2"))
    report_steps("undo, with the replaced ones back", results.remove_turn_in_steps(scan, "turn-2"))

    def ask_again(number: int) -> None:
        """As ``viewer.scan_segments`` and ``viewer.size_keeping`` do."""
        for _ in add(f"repeated-{number}"):
            pass
        finish(measure_in_steps(node, segment_ids(node), counted))
        counted.forget_all_but(layers_of(node))

    report_memory(ask_again, questions)


def report_steps(what: str, steps: Iterator[None]) -> None:
    """Work in pieces: all of it, and the longest time that the user interface stood still."""
    longest, begin = 0.0, time.perf_counter()
    goes_on = True
    while goes_on:
        piece = time.perf_counter()
        goes_on = next(steps, True) is None
        longest = max(longest, time.perf_counter() - piece)
    report(what, time.perf_counter() - begin)
    report("  longest stop of the user interface", longest)


def report_memory(ask: Callable[[int], object], questions: int) -> None:
    """What this process holds after the first questions and after all."""
    process = psutil.Process()
    for number in range(questions):
        ask(number)
        if number + 1 in (WARM, questions):
            report(f"memory after {number + 1} questions", process.memory_info().rss / 1e6, "MB")


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
    report("surfaces, child process", time.perf_counter() - start)
    report("  until the first surface", first)
    report("  longest stop of the user interface", longest)
    report("  triangles", sum(triangles(node)), "")
    node.GetSegmentation().RemoveRepresentation(CLOSED_SURFACE)
    report("surfaces, Slicer's own (blocks)", timed(node.CreateClosedSurfaceRepresentation))
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


def volume_node(scene: Any, as_vtk: Callable[[Any], Any], shape: Shape) -> Any:
    """A scan of noise."""
    from vtkmodules.vtkCommonDataModel import vtkImageData

    voxels = np.random.default_rng(0).integers(-1000, 1000, shape[::-1], dtype=np.int16)
    image = vtkImageData()
    image.SetDimensions(shape)
    image.GetPointData().SetScalars(as_vtk(voxels.ravel()))
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan")
    node.SetAndObserveImageData(image)
    node.SetSpacing(0.7, 0.7, 2.5)
    node.CreateDefaultDisplayNodes()
    return node


def labelmap(shape: Shape, count: int) -> np.ndarray:
    """Blobs of the size of organs side by side, in IJK order."""
    columns = int(np.ceil(np.sqrt(count)))
    labels = np.zeros(shape, np.uint8)
    radii = np.array([0.48 / columns, 0.48 / columns, 0.45]) * shape
    for one in range(count):
        centre = np.array([(one % columns + 0.5) / columns, (one // columns + 0.5) / columns, 0.5]) * shape
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
