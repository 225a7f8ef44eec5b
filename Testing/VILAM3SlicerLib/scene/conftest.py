"""A real Slicer Core without rendering, volumes with known geometry, and slice views on them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

MakeVolume = Callable[..., Any]
MakeView = Callable[..., Any]


def rotation(degrees_x: float, degrees_y: float, degrees_z: float) -> np.ndarray:
    """Rotation about x, then y, then z."""
    result = np.eye(3)
    for axis, angle in enumerate(np.radians([degrees_x, degrees_y, degrees_z])):
        turn = np.eye(3)
        first, second = [other for other in range(3) if other != axis]
        turn[[first, first, second, second], [first, second, first, second]] = (
            np.cos(angle),
            -np.sin(angle),
            np.sin(angle),
            np.cos(angle),
        )
        result = turn @ result
    return result


def affine(directions: np.ndarray, spacing: tuple[float, float, float], origin: tuple[float, float, float]):
    """IJK to RAS from unit directions (columns), spacing and origin in mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.asarray(directions, dtype=float) * spacing
    matrix[:3, 3] = origin
    return matrix


STORED_AS = {
    "RAS": affine(np.eye(3), (1.0, 1.0, 1.0), (-20.0, -25.0, -15.0)),
    "LPS": affine(np.diag([-1.0, -1.0, 1.0]), (0.9, 1.1, 2.5), (31.0, 22.0, -40.0)),
    "permuted": affine([[0, 0, 1], [-1, 0, 0], [0, -1, 0]], (1.1, 1.3, 1.5), (-15.0, 20.0, 33.0)),
    "anisotropic": affine(np.diag([1.0, -1.0, -1.0]), (0.6, 0.6, 5.0), (-7.0, 11.0, 60.0)),
    "oblique": affine(rotation(20, -12, 30) @ np.diag([-1.0, 1.0, 1.0]), (0.8, 1.2, 2.0), (5.0, -40.0, 12.0)),
}
"""Ways in which scanners store a volume: IJK to RAS."""


@pytest.fixture(params=sorted(STORED_AS))
def ijk_to_ras(request: pytest.FixtureRequest) -> np.ndarray:
    """The geometries in turn."""
    return STORED_AS[request.param]


@pytest.fixture
def oblique() -> np.ndarray:
    """The most general geometry: tilted, mirrored, anisotropic."""
    return STORED_AS["oblique"]


@pytest.fixture(scope="session")
def app() -> Any:
    """Slicer Core: its scene and application logic."""
    from trame_slicer.core import SlicerApp

    return SlicerApp()


@pytest.fixture
def scene(app: Any) -> Iterator[Any]:
    """An empty scene."""
    app.scene.Clear(0)
    yield app.scene
    app.scene.Clear(0)


@pytest.fixture
def app_logic(app: Any, scene: Any) -> Iterator[Any]:
    """The application logic, without slice views."""
    app.app_logic.GetSliceLogics().RemoveAllItems()
    yield app.app_logic
    app.app_logic.GetSliceLogics().RemoveAllItems()


@pytest.fixture
def make_volume(scene: Any) -> MakeVolume:
    """``make_volume(voxels in IJK order, ijk_to_ras, name="scan", kind=...)`` gives a volume node."""

    def make(
        voxels: np.ndarray, matrix: np.ndarray, name: str = "scan", kind: str = "vtkMRMLScalarVolumeNode"
    ) -> Any:
        from vtkmodules.util.numpy_support import numpy_to_vtk
        from vtkmodules.vtkCommonDataModel import vtkImageData
        from vtkmodules.vtkCommonMath import vtkMatrix4x4

        image = vtkImageData()
        image.SetDimensions(voxels.shape)
        image.GetPointData().SetScalars(numpy_to_vtk(voxels.ravel(order="F"), deep=True))
        node = scene.AddNewNodeByClass(kind, name)
        node.SetAndObserveImageData(image)
        geometry = vtkMatrix4x4()
        geometry.DeepCopy(np.asarray(matrix, dtype=float).ravel().tolist())
        node.SetIJKToRASMatrix(geometry)
        node.CreateDefaultDisplayNodes()
        return node

    return make


@pytest.fixture
def make_view(scene: Any, app_logic: Any) -> MakeView:
    """``make_view(volume node, orientation, size, name)`` gives a slice view fitted to the volume."""

    def make(
        node: Any, orientation: str = "Axial", size: tuple[int, int] = (90, 70), name: str = "Red"
    ) -> Any:
        import slicer

        from VILAM3SlicerLib.scene.views import slice_view

        logic = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLApplicationLogic(app_logic)
        logic.SetMRMLScene(scene)
        app_logic.GetSliceLogics().AddItem(logic)
        logic.AddSliceNode(name)
        logic.GetSliceNode().SetOrientation("Axial" if orientation == "Oblique" else orientation)
        logic.ResizeSliceNode(*size)
        logic.GetSliceCompositeNode().SetBackgroundVolumeID(node.GetID() if node is not None else None)
        logic.FitSliceToAll()
        if orientation == "Oblique":
            _tilt(logic.GetSliceNode())
        return slice_view(app_logic, name)

    return make


@pytest.fixture
def put_under_transform(scene: Any) -> Callable[[Any, np.ndarray], Any]:
    """``put_under_transform(node, matrix)`` gives a node a linear parent transform."""

    def put(node: Any, matrix: np.ndarray) -> Any:
        from VILAM3SlicerLib.scene.geometry import to_vtk

        transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        transform.SetMatrixTransformToParent(to_vtk(matrix))
        node.SetAndObserveTransformNodeID(transform.GetID())
        return transform

    return put


def _tilt(slice_node: Any) -> None:
    matrix = slice_node.GetSliceToRAS()
    directions = rotation(25, 15, -40)
    for row in range(3):
        for column in range(3):
            matrix.SetElement(row, column, directions[row, column])
    slice_node.UpdateMatrices()


@pytest.fixture
def results(scene, app_logic):
    """What puts results into the scene, with Slicer's own terminology."""
    from VILAM3SlicerLib.scene.result_segments import ResultSegments
    from VILAM3SlicerLib.scene.terminology import SlicerTerminology

    return ResultSegments(scene, SlicerTerminology(app_logic))
