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
from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D, vtkPolyDataNormals, vtkWindowedSincPolyDataFilter

from VILAM3SlicerLib.scene.arrays import Array, as_numpy, as_vtk

SMOOTHING_ITERATIONS = 40
SMOOTHING_PASS_BAND = 0.01
"""Slicer's values for its default smoothing factor of 0.5: 20 + 40 * 0.5 iterations, 10 ** (-4 * 0.5)."""

FULL_DETAIL_TRIANGLES = 40_000
"""Larger surfaces come from a coarser grid: a third of the triangles in a third of the time, and no seams,
which reducing a finished surface leaves."""

COARSE_PASS_BAND = 0.02
"""A coarse grid has smaller steps to smooth away."""

COARSE_SHARE = 0.375
"""How full a coarse cell is at the surface: walls one voxel thick fill half of their cells and keep their
thickness, solid bodies grow by a quarter of a voxel."""

SIMILAR_SPACING = 1.5
"""Axes are made coarser whose voxels are at most this times as long as the shortest: cells become cubes."""


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
    index_to_ras = ijk_to_ras @ _shift(corner + np.asarray(first_index))
    surface = _contour(mask, 0.5)
    if surface.GetNumberOfPolys() <= FULL_DETAIL_TRIANGLES:
        return _in_patient(_smooth(surface, SMOOTHING_PASS_BAND), index_to_ras)
    cells, cell_to_index = _coarser(mask, np.linalg.norm(ijk_to_ras[:3, :3], axis=0))
    surface = _contour(cells, COARSE_SHARE * np.prod(np.diag(cell_to_index)))
    return _in_patient(_smooth(surface, COARSE_PASS_BAND), index_to_ras @ cell_to_index)


def _shift(index: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3, 3] = index
    return matrix


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


def _coarser(
    mask: npt.NDArray[np.uint8], spacing: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """How many voxels are inside in each cell of a grid with one more empty cell around it.

    Args:
        mask: 0 and 1, shape (K, J, I), empty at its border.
        spacing: of I, J, K in mm; cells are two voxels long along the axes with short ones.

    Returns:
        The numbers, shape (K, J, I) of the cells, and the 4x4 from cell to voxel indices.
    """
    cells, cell_to_index = mask, np.eye(4)
    for axis in np.flatnonzero(spacing <= SIMILAR_SPACING * spacing.min()):
        pairs = np.moveaxis(cells, 2 - axis, 0)
        pairs = np.pad(pairs, [(2, 2 + len(pairs) % 2), (0, 0), (0, 0)])
        cells = np.moveaxis(pairs[::2] + pairs[1::2], 0, 2 - axis)
        cell_to_index[axis, axis], cell_to_index[axis, 3] = 2.0, 0.5 - 2.0
    return np.ascontiguousarray(cells), cell_to_index


def _contour(values: npt.NDArray[np.uint8], surface_value: float) -> Any:
    k, j, i = values.shape
    image = vtkImageData()
    image.SetDimensions(i, j, k)
    image.GetPointData().SetScalars(as_vtk(values.ravel()))
    contour = vtkFlyingEdges3D()
    contour.SetInputData(image)
    contour.SetValue(0, surface_value)
    contour.ComputeNormalsOff()
    contour.ComputeScalarsOff()
    contour.Update()
    return contour.GetOutput()


def _smooth(surface: Any, pass_band: float) -> Any:
    smooth = vtkWindowedSincPolyDataFilter()
    smooth.SetInputData(surface)
    smooth.SetNumberOfIterations(SMOOTHING_ITERATIONS)
    smooth.SetPassBand(pass_band)
    smooth.BoundarySmoothingOff()
    smooth.FeatureEdgeSmoothingOff()
    smooth.NonManifoldSmoothingOn()
    smooth.NormalizeCoordinatesOn()
    smooth.Update()
    return smooth.GetOutput()


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
        os.nice(10)  # as the backend's processes do: the person's viewer goes first
    build(Path(sys.argv[1]))
