"""The child process that builds closed surfaces: ``python -m VILAM3SlicerLib.scene.surface_worker FOLDER``.

Building the surface of one large segment takes up to a second and cannot be divided, so it must not happen
where the user interface runs. ``surfaces`` fills the folder and reads the results; nothing else is shared:

    job.json    {"layers": [{"file", "dtype", "shape" (K, J, I), "first_index" (I, J, K), "ijk_to_ras" (16)}],
                 "segments": [{"layer": number, "label_value": number}]}
    N.npz       the surface of segment N: points (n, 3) float32 RAS in mm, normals (n, 3) float32,
                triangles (m, 3) int32; written under another name first, so that it is whole when it is seen

Imports vtk and numpy, no MRML.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from vtkmodules.vtkCommonDataModel import vtkImageData, vtkPolyData
from vtkmodules.vtkFiltersCore import (
    vtkBinnedDecimation,
    vtkFlyingEdges3D,
    vtkPolyDataNormals,
    vtkWindowedSincPolyDataFilter,
)

from VILAM3SlicerLib.scene.arrays import Array, as_numpy, as_vtk

SMOOTHING_ITERATIONS = 40
SMOOTHING_PASS_BAND = 0.01
"""Slicer's values for its default smoothing factor of 0.5: 20 + 40 * 0.5 iterations, 10 ** (-4 * 0.5)."""

FULL_DETAIL_TRIANGLES = 40_000
"""Smaller surfaces keep all triangles."""

BIN_VOXELS = 1.5
"""Of larger ones, one point stays in each box of this size: under half the triangles, at 1 % of the time of a
quadric decimation, and each point still on the smoothed surface."""


def build(folder: Path) -> None:
    """Build the surfaces of a job, each as soon as possible."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    layers = [_open_layer(folder, layer) for layer in job["layers"]]
    for number, segment in enumerate(job["segments"]):
        labels, layer = layers[segment["layer"]], job["layers"][segment["layer"]]
        matrix = np.array(layer["ijk_to_ras"], dtype=np.float64).reshape(4, 4)
        surface = closed_surface(labels, segment["label_value"], layer["first_index"], matrix)
        unfinished = folder / f"{number}.unfinished.npz"
        np.savez(unfinished, **surface)  # type: ignore[arg-type]
        os.replace(unfinished, folder / f"{number}.npz")


def closed_surface(
    labels: Array, label_value: int, first_index: Sequence[int], ijk_to_ras: npt.NDArray[np.float64]
) -> dict[str, Array]:
    """The smoothed surface of one label.

    Args:
        labels: shape (K, J, I).
        label_value: the voxels with this value are inside.
        first_index: I, J, K of the first voxel.
        ijk_to_ras: 4x4, voxel centres to RAS in mm.

    Returns:
        ``points``, ``normals`` (outwards) and ``triangles`` as in the module's description; empty for a label
        without voxels.
    """
    corner, mask = _crop(labels, label_value)
    if mask.size == 0:
        return _empty()
    index_to_ras = ijk_to_ras.copy()
    index_to_ras[:3, 3] = (ijk_to_ras @ np.array([*(corner + np.asarray(first_index)), 1.0]))[:3]
    surface = _reduce(_smooth(_contour(mask)))
    return _in_patient(surface, index_to_ras)


def _crop(labels: Array, label_value: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """I, J, K of the first voxel of the label's box with a margin of one, and the box as 0 and 1."""
    slices = np.flatnonzero([np.any(piece == label_value) for piece in labels])
    if slices.size == 0:
        return np.zeros(3, np.int64), np.zeros((0, 0, 0), np.uint8)
    mask = labels[slices[0] : slices[-1] + 1] == label_value
    rows, columns = np.flatnonzero(mask.any(axis=(0, 2))), np.flatnonzero(mask.any(axis=(0, 1)))
    box = mask[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    corner = np.array([columns[0], rows[0], slices[0]], dtype=np.int64) - 1
    return corner, np.pad(box, 1).astype(np.uint8)


def _contour(mask: npt.NDArray[np.uint8]) -> Any:
    k, j, i = mask.shape
    image = vtkImageData()
    image.SetDimensions(i, j, k)
    image.GetPointData().SetScalars(as_vtk(mask.ravel()))
    contour = vtkFlyingEdges3D()
    contour.SetInputData(image)
    contour.SetValue(0, 0.5)
    contour.ComputeNormalsOff()
    contour.ComputeScalarsOff()
    contour.Update()
    return contour.GetOutput()


def _smooth(surface: Any) -> Any:
    smooth = vtkWindowedSincPolyDataFilter()
    smooth.SetInputData(surface)
    smooth.SetNumberOfIterations(SMOOTHING_ITERATIONS)
    smooth.SetPassBand(SMOOTHING_PASS_BAND)
    smooth.BoundarySmoothingOff()
    smooth.FeatureEdgeSmoothingOff()
    smooth.NonManifoldSmoothingOn()
    smooth.NormalizeCoordinatesOn()
    smooth.Update()
    return smooth.GetOutput()


def _reduce(surface: Any) -> Any:
    if surface.GetNumberOfPolys() <= FULL_DETAIL_TRIANGLES:
        return surface
    low_i, high_i, low_j, high_j, low_k, high_k = surface.GetBounds()
    extents = (high_i - low_i, high_j - low_j, high_k - low_k)
    reduce = vtkBinnedDecimation()
    reduce.SetInputData(surface)
    reduce.AutoAdjustNumberOfDivisionsOff()
    reduce.SetNumberOfDivisions(*(max(1, round(extent / BIN_VOXELS)) for extent in extents))
    reduce.SetPointGenerationModeToBinPoints()
    reduce.Update()
    return reduce.GetOutput()


def _in_patient(surface: Any, index_to_ras: npt.NDArray[np.float64]) -> dict[str, Array]:
    """Points in RAS, triangles turned where the matrix mirrors, so that the normals point outwards."""
    points = as_numpy(surface.GetPoints().GetData()) @ index_to_ras[:3, :3].T + index_to_ras[:3, 3]
    triangles = as_numpy(surface.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    if np.linalg.det(index_to_ras[:3, :3]) < 0:
        triangles = triangles[:, ::-1]
    points32 = points.astype(np.float32)
    triangles32 = np.ascontiguousarray(triangles, dtype=np.int32)
    return {"points": points32, "triangles": triangles32, "normals": _normals(points32, triangles32)}


def _normals(points: Array, triangles: Array) -> Array:
    normals = vtkPolyDataNormals()
    normals.SetInputData(poly_data(points, triangles))
    normals.SplittingOff()
    normals.ConsistencyOff()
    normals.Update()
    return as_numpy(normals.GetOutput().GetPointData().GetNormals()).astype(np.float32)


def poly_data(points: Array, triangles: Array, normals: Array | None = None) -> vtkPolyData:
    """Arrays as in the module's description as vtk's surface."""
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray

    corners, cells, surface = vtkPoints(), vtkCellArray(), vtkPolyData()
    corners.SetData(as_vtk(points))
    offsets = np.arange(0, 3 * len(triangles) + 1, 3, dtype=np.int32)
    cells.SetData(as_vtk(offsets), as_vtk(triangles.ravel()))
    surface.SetPoints(corners)
    surface.SetPolys(cells)
    if normals is not None:
        surface.GetPointData().SetNormals(as_vtk(normals))
    return surface


def _empty() -> dict[str, Array]:
    nothing = np.zeros((0, 3), np.float32)
    return {"points": nothing, "triangles": np.zeros((0, 3), np.int32), "normals": nothing}


def _open_layer(folder: Path, layer: Mapping[str, Any]) -> Array:
    return np.memmap(folder / layer["file"], dtype=layer["dtype"], mode="r", shape=tuple(layer["shape"]))


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(5)
    build(Path(sys.argv[1]))
