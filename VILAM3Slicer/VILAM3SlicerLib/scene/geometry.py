"""Matrices between vtk, numpy and the wire, and the frames a node lives in.

Frames: IJK (voxel indices), RAS (mm, the volume's own frame, before any parent transform) and world (RAS
after the parent transforms, what the views show).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from VILAM3SlicerLib.protocol.errors import UnsupportedVolume
from VILAM3SlicerLib.protocol.events import Point
from VILAM3SlicerLib.protocol.messages import Matrix
from VILAM3SlicerLib.protocol.phrases import phrases

_ = phrases(__name__)

Affine = npt.NDArray[np.float64]
"""4x4 float64, multiplies column vectors (x, y, z, 1)."""

AXIS_ALIGNED = 0.999
"""A plane whose normal is within 2.5 degrees of a patient axis carries that axis's name."""


def to_numpy(matrix: vtkMatrix4x4) -> Affine:
    """The matrix as numbers, bit for bit."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def to_vtk(matrix: npt.ArrayLike) -> vtkMatrix4x4:
    """Sixteen numbers, row by row or as 4x4, as vtk's matrix."""
    result = vtkMatrix4x4()
    result.DeepCopy([float(number) for number in np.asarray(matrix).ravel()])
    return result


def to_wire(matrix: Affine) -> Matrix:
    """The matrix as the 16 numbers, row by row, that go over the wire."""
    return tuple(float(number) for number in matrix.ravel())  # type: ignore[return-value]


def from_wire(matrix: Sequence[float]) -> Affine:
    """Sixteen numbers, row by row, as a 4x4 matrix."""
    return np.array(matrix, dtype=np.float64).reshape(4, 4)


def invert(matrix: Affine) -> Affine:
    """The way back."""
    inverse: Affine = np.linalg.inv(matrix).astype(np.float64)
    return inverse


def transform_point(matrix: Affine, point: Sequence[float]) -> Point:
    """Where the matrix puts a point."""
    x, y, z = (matrix @ np.array([*point, 1.0]))[:3]
    return float(x), float(y), float(z)


def ijk_to_ras(volume_node: Any) -> Affine:
    """Voxel centres of a volume node to RAS in mm, before its parent transform."""
    matrix = vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(matrix)
    return to_numpy(matrix)


def image_to_ras(image: Any) -> Affine:
    """Voxel indices of a ``vtkOrientedImageData`` (a layer of a segmentation) to RAS in mm."""
    matrix = vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return to_numpy(matrix)


def ras_to_world(node: Any) -> Affine:
    """The linear parent transform of a node, the identity where it has none.

    Raises:
        UnsupportedVolume: a parent transform bends space, so that no matrix can say where things lie.
    """
    transform = node.GetParentTransformNode()
    if transform is None:
        return np.eye(4)
    if not transform.IsTransformToWorldLinear():
        raise UnsupportedVolume(
            _("'{name}' is under a non-linear transform.").format(name=node.GetName()),
            _("Harden the transform, or take the scan out of it, and ask again."),
        )
    matrix = vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    return to_numpy(matrix)


def world_to_ras(node: Any) -> Affine:
    """World to the node's own RAS frame, in mm.

    Raises:
        UnsupportedVolume: a parent transform is not linear.
    """
    return invert(ras_to_world(node))


def to_frame_of(frame_node: Any, node: Any) -> Affine:
    """The RAS frame of one node to that of another; exactly the identity under the same transform.

    Raises:
        UnsupportedVolume: a parent transform is not linear.
    """
    if node.GetParentTransformNode() is frame_node.GetParentTransformNode():
        ras_to_world(node)
        return np.eye(4)
    change: Affine = world_to_ras(frame_node) @ ras_to_world(node)
    return change


def world_box(to_world: Affine, low: Sequence[float], high: Sequence[float]) -> tuple[float, ...]:
    """The box around a box whose corners a matrix moves: lowest and highest R, A and S in turn."""
    corners = [transform_point(to_world, corner) for corner in product(*zip(low, high, strict=True))]
    lows, highs = np.min(corners, axis=0).tolist(), np.max(corners, axis=0).tolist()
    return tuple(side for pair in zip(lows, highs, strict=True) for side in pair)


def plane_name(pixel_to_ras: Affine) -> str:
    """``axial``, ``coronal`` or ``sagittal`` where the normal is (nearly) that axis, else ``oblique``."""
    normal = np.cross(pixel_to_ras[:3, 0], pixel_to_ras[:3, 1])
    share = np.abs(normal) / max(float(np.linalg.norm(normal)), 1e-12)
    axis = int(np.argmax(share))
    return ("sagittal", "coronal", "axial")[axis] if share[axis] > AXIS_ALIGNED else "oblique"


def closest_ras_axes(matrix: Affine) -> tuple[tuple[int, bool], tuple[int, bool], tuple[int, bool]]:
    """For R, A and S: the voxel axis (0 I, 1 J, 2 K) that runs closest to it, and whether it runs backwards.

    The rotation nearest to the matrix decides, the voxel axis with the clearest direction first: the rule of
    nibabel's ``io_orientation``, which the backend and the published pipeline (MONAI Orientationd) follow.
    """
    directions = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    left, _, right = np.linalg.svd(directions)
    rotation = left @ right
    found = {}
    for voxel_axis in np.argsort(-(rotation**2).max(axis=0), kind="stable").tolist():
        free = [axis for axis in range(3) if axis not in found]
        patient_axis = max(free, key=lambda axis: abs(rotation[axis, voxel_axis]))
        found[patient_axis] = (voxel_axis, bool(rotation[patient_axis, voxel_axis] < 0))
    return found[0], found[1], found[2]
