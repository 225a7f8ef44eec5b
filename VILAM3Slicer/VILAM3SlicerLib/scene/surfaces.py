"""Closed surfaces of segments, built in a child process and attached one by one.

A :class:`SurfaceJob` is driven by whatever timer the front end has: each ``step`` takes a few milliseconds.
"""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from vtkmodules.vtkCommonDataModel import vtkPolyData

import VILAM3SlicerLib
from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.protocol.phrases import phrases
from VILAM3SlicerLib.scene.arrays import image_array
from VILAM3SlicerLib.scene.geometry import image_to_ras, ras_to_world, world_box
from VILAM3SlicerLib.scene.segmentation import CLOSED_SURFACE, LABELMAP, segment_ids, segment_of
from VILAM3SlicerLib.scene.surface_worker import poly_data

_ = phrases(__name__)

_START = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
    "runpy.run_module('VILAM3SlicerLib.scene.surface_worker', run_name='__main__')"
)
"""Slicer's Python may set PYTHONPATH anew, so the library's folder is told as an argument."""

Steps = Generator[str | None, None, None]

_ATTACH_SECONDS = 1.0
"""How long surfaces that came wait for others, so that they are attached at once."""

_WRITE_BYTES = 8 * 1024 * 1024


def segments_without_surface(segmentation_node: Any) -> list[str]:
    """The ids of the segments whose surface was not built yet."""
    return [
        segment_id
        for segment_id in segment_ids(segmentation_node)
        if not _has_points(segment_of(segmentation_node, segment_id).GetRepresentation(CLOSED_SURFACE))
    ]


def surface_bounds(segmentation_node: Any) -> tuple[float, ...] | None:
    """The box around all surfaces: world RAS in mm, lowest and highest R, A, S in turn; None without any."""
    segments = (segment_of(segmentation_node, one) for one in segment_ids(segmentation_node))
    surfaces = [segment.GetRepresentation(CLOSED_SURFACE) for segment in segments]
    boxes = np.array([surface.GetBounds() for surface in surfaces if _has_points(surface)])
    if not len(boxes):
        return None
    low, high = boxes[:, ::2].min(axis=0), boxes[:, 1::2].max(axis=0)
    return world_box(ras_to_world(segmentation_node), low, high)


@contextmanager
def without_surfaces(segmentation_node: Any) -> Iterator[None]:
    """Take the surfaces out for a while, as for saving; segments that went meanwhile stay away."""
    segmentation = segmentation_node.GetSegmentation()
    ids = segment_ids(segmentation_node)
    surfaces = {one: segmentation.GetSegment(one).GetRepresentation(CLOSED_SURFACE) for one in ids}
    segmentation.RemoveRepresentation(CLOSED_SURFACE)
    try:
        yield
    finally:
        for segment_id, surface in surfaces.items():
            segment = segmentation.GetSegment(segment_id)
            if segment is not None and surface is not None:
                segment.AddRepresentation(CLOSED_SURFACE, surface)


def _has_points(surface: Any) -> bool:
    return surface is not None and surface.GetNumberOfPoints() > 0


class SurfaceJob:
    """Builds the surfaces of some segments of one segmentation node.

    Args:
        segmentation_node: the node; segments that leave it or are edited meanwhile are passed over.
        ids: which segments, in the order in which their surfaces shall come.
        python: the interpreter of the child process, one that has vtk; None for this one's.

    ``passed_over`` are the ids that got no surface since they changed meanwhile, as saving changes them.
    """

    def __init__(self, segmentation_node: Any, ids: Sequence[str], python: str | None = None) -> None:
        self._node = segmentation_node
        self._ids = list(ids)
        self._python = python or python_executable()
        self._work = self._run()
        self._written: dict[Any, int] = {}
        self._done = 0
        self.passed_over: list[str] = []
        self.finished = not self._ids

    @property
    def fraction(self) -> float:
        """How far the job is, 0 to 1."""
        return self._done / len(self._ids) if self._ids else 1.0

    def step(self) -> str | None:
        """Do the next piece of work; the id of the segment that got its surface now, else None.

        Raises:
            SceneError: the child process failed or never ran; the surfaces that came before stay.
        """
        if self.finished:
            return None
        try:
            return next(self._work)
        except StopIteration:
            self.finished = True
        except SceneError:
            self.finished = True
            raise
        except OSError as error:  # the child cannot be started, or there is no room for its files
            self.finished = True
            raise _not_built(str(error)) from error
        return None

    def cancel(self) -> None:
        """End the child process and remove its files; surfaces that came stay."""
        self._work.close()
        self.passed_over.clear()
        self.finished = True

    def _run(self) -> Steps:
        with TemporaryDirectory(prefix="vilam3-surfaces-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            yield from self._write_job(folder)
            process = self._start(folder)
            try:
                self._hold_places()
                yield from self._attach_all(folder, process)
            finally:
                process.kill()
                process.wait()

    def _hold_places(self) -> None:
        """Empty surfaces for all segments, the first one's last.

        A 3D view builds the surfaces of all other segments, in this process, as soon as the first segment has
        one.
        """
        segmentation = self._node.GetSegmentation()
        with _told_once(self._node):
            for segment_id in reversed(segment_ids(self._node)):
                segment = segmentation.GetSegment(segment_id)
                if segment.GetRepresentation(CLOSED_SURFACE) is None:
                    segment.AddRepresentation(CLOSED_SURFACE, vtkPolyData())

    def _write_job(self, folder: Path) -> Steps:
        images: list[Any] = []
        segments = []
        for segment_id in self._ids:
            segment = segment_of(self._node, segment_id)
            image = segment.GetRepresentation(LABELMAP)
            if image not in images:
                images.append(image)
            segments.append({"layer": images.index(image), "label_value": segment.GetLabelValue()})
        self._written = {image: image.GetMTime() for image in images}
        for number, image in enumerate(images):
            yield from _write_layer(folder / f"layer{number}.raw", image)
        layers = [_layer_description(f"layer{number}.raw", image) for number, image in enumerate(images)]
        job = {"layers": layers, "segments": segments}
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")

    def _start(self, folder: Path) -> subprocess.Popen[bytes]:
        library = str(Path(VILAM3SlicerLib.__file__).parent.parent)
        with (folder / "errors.txt").open("wb") as errors:
            return subprocess.Popen(
                [self._python, "-c", _START, library, str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )

    def _attach_all(self, folder: Path, process: subprocess.Popen[bytes]) -> Steps:
        """Read the surfaces as they come and attach many at once: a view looks at all segments each time."""
        read: list[tuple[str, vtkPolyData]] = []
        attached_at = time.monotonic()
        for number, segment_id in enumerate(self._ids):
            result = folder / f"{number}.npz"
            while not result.exists():
                if process.poll() is not None and not result.exists():
                    yield from self._attach(read)
                    raise _not_built(_last_line(folder / "errors.txt"))
                yield None
            read.append((segment_id, _read_surface(result)))
            result.unlink()  # all of them at the end would take 20 ms and more at once
            if time.monotonic() - attached_at > _ATTACH_SECONDS or number == len(self._ids) - 1:
                yield from self._attach(read)
                read, attached_at = [], time.monotonic()
            yield None

    def _attach(self, surfaces: Sequence[tuple[str, vtkPolyData]]) -> Steps:
        attached = []
        with _told_once(self._node):
            for segment_id, surface in surfaces:
                segment = self._node.GetSegmentation().GetSegment(segment_id)
                image = segment.GetRepresentation(LABELMAP) if segment is not None else None
                self._done += 1
                if image is None or self._written.get(image) != image.GetMTime():
                    self.passed_over.append(segment_id)
                else:
                    segment.AddRepresentation(CLOSED_SURFACE, surface)
                    attached.append(segment_id)
        yield from attached


def _not_built(reason: str) -> SceneError:
    logging.warning("VILAM3Slicer: surfaces: %s", reason)
    return SceneError(
        _("The 3D surfaces could not be built."),
        _("The segments are in the slices all the same. The log tells why."),
    )


@contextmanager
def _told_once(node: Any) -> Iterator[None]:
    """Let the views look at a node once after many changes: with 117 segments each look takes long."""
    was_modifying = node.StartModify()
    try:
        yield
    finally:
        node.EndModify(was_modifying)


def _read_surface(path: Path) -> vtkPolyData:
    with np.load(path) as arrays:
        return poly_data(arrays["points"], arrays["triangles"], arrays["normals"])


def python_executable() -> str:
    """The Python that runs this, or Slicer's where the running program is Slicer itself."""
    name = Path(sys.executable).stem.lower()
    return sys.executable if "python" in name else shutil.which("PythonSlicer") or sys.executable


def _write_layer(path: Path, image: Any) -> Steps:
    voxels = memoryview(image_array(image).reshape(-1).view(np.uint8).data)
    with path.open("wb") as file:
        for start in range(0, len(voxels), _WRITE_BYTES):
            file.write(voxels[start : start + _WRITE_BYTES])
            yield None


def _layer_description(file: str, image: Any) -> dict[str, Any]:
    labels = image_array(image)
    first_i, _, first_j, _, first_k, _ = image.GetExtent()
    return {
        "file": file,
        "dtype": labels.dtype.str,
        "shape": labels.shape,
        "first_index": (first_i, first_j, first_k),
        "ijk_to_ras": image_to_ras(image).ravel().tolist(),
    }


def _last_line(errors: Path) -> str:
    lines = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "its process ended without a message."
