"""How long the viewer's own work takes, and how long it keeps the user interface still; prints a table.

python Testing/benchmarks/viewer.py --shape 512 512 300 --labels 117 --questions 50
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import psutil

os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from Testing.benchmarks.loopback_upload import send_to_a_service
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

    app = SlicerApp()
    view, scan = axial_view(app), volume_node(app.scene, shape)
    view.set_background_volume_id(scan.GetID())
    view.fit_view_to_content()
    view.render()
    report_pictures(app, view)
    report_packing(scan)
    report_upload(scan)
    results = Results(app, scan, count)
    results.report(view)
    report_memory(results.ask_again, questions)


def report_pictures(app: Any, view: Any) -> None:
    """What the model is shown."""
    from VILAM3SlicerLib.scene.capture import capture
    from VILAM3SlicerLib.scene.views import slice_view

    shown = slice_view(app.app_logic, view.get_view_node().GetLayoutName())
    report("picture as seen, 512x512", best(lambda: capture(shown, "as_seen", "CT")))
    report("picture as published", best(lambda: capture(shown, "published", "CT")))


def report_packing(scan: Any) -> None:
    """What is done on a thread before a scan goes up."""
    from VILAM3SlicerLib.scene.volumes import hash_volume, nrrd_pieces, read_volume

    volume = read_volume(scan)
    report("content hash", best(lambda: hash_volume(volume)))
    report("NRRD in pieces", best(lambda: list(nrrd_pieces(volume))))


def report_upload(scan: Any) -> None:
    """The scan to the real service in a process of its own, as the browser viewer sends it."""
    seconds, longest = send_to_a_service(scan)
    report("upload on loopback", seconds)
    report("  longest stop of the user interface", longest)


class Results:
    """Results in a scan, as ``viewer.scan_segments`` and ``viewer.size_keeping`` put them there."""

    def __init__(self, app: Any, scan: Any, count: int) -> None:
        from VILAM3SlicerLib.scene.label_counts import CountedLayers
        from VILAM3SlicerLib.scene.result_segments import ResultSegments
        from VILAM3SlicerLib.scene.terminology import SlicerTerminology
        from VILAM3SlicerLib.scene.volumes import read_volume

        self._scene = app.scene
        self._scan = scan
        self._segments = tuple(
            SegmentInfo(f"part {one}", (one,), "", 0, 0.0, None) for one in range(1, count + 1)
        )
        self._counted = CountedLayers()
        self._results = ResultSegments(app.scene, SlicerTerminology(app.app_logic), self._counted)
        volume = read_volume(scan)
        labels = labelmap(volume.shape, count).tobytes("F")
        self._body = encode_nrrd(NrrdVolume("uint8", volume.shape, volume.ijk_to_ras, labels), compress=True)
        self._received = decode_nrrd(self._body)

    @property
    def node(self) -> Any:
        """The segmentation node."""
        from VILAM3SlicerLib.scene.segmentation import find_segmentation

        return find_segmentation(self._scene, self._scan)

    def report(self, view: Any) -> None:
        """One result after another, and what is made of it."""
        start = time.perf_counter()
        decode_nrrd(self._body)
        report("labelmap unpacked", time.perf_counter() - start)
        report_steps(f"{len(self._segments)} segments in the scene", self.add("turn-1"))
        view.render()
        report("the same on the slice, unpacking included", time.perf_counter() - start)
        report_steps("sizes", self.sizes())
        report_surfaces(self.node)
        report_steps("the same result again, replacing", self.add("turn-2"))
        undo = self._results.remove_turn_in_steps(self._scan, "turn-2")
        report_steps("undo, with the replaced ones back", undo)

    def ask_again(self, number: int) -> None:
        """One more question with the same result."""
        from VILAM3SlicerLib.scene.segmentation import layers_of
        from VILAM3SlicerLib.scene.steps import finish

        finish(self.add(f"repeated-{number}"))
        finish(self.sizes())
        self._counted.forget_all_but(layers_of(self.node))

    def add(self, turn: str) -> Generator[None, None, Any]:
        """Put the result into the scene, in pieces."""
        from VILAM3SlicerLib.scene.segment_origin import Origin

        origin = Origin(turn, "BENCH", "1")
        return self._results.add_in_steps(self._scan, self._received, self._segments, origin)

    def sizes(self) -> Generator[None, None, Any]:
        """Measure all segments, in pieces."""
        from VILAM3SlicerLib.scene.measurements import measure_in_steps
        from VILAM3SlicerLib.scene.segmentation import segment_ids

        return measure_in_steps(self.node, segment_ids(self.node), self._counted)


def report_steps(what: str, steps: Generator[None, None, Any]) -> None:
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


def volume_node(scene: Any, shape: Shape) -> Any:
    """A scan of noise."""
    from vtkmodules.vtkCommonDataModel import vtkImageData

    from VILAM3SlicerLib.scene.arrays import as_vtk

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
