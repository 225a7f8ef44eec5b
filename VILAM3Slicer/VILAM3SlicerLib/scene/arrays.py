"""vtk's arrays as numpy's and back (vtk's own helpers carry no types)."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
from vtkmodules.util import numpy_support

Array = npt.NDArray[Any]


def as_numpy(vtk_array: Any) -> Array:
    """A view of a vtk data array's memory, shape (tuples,) or (tuples, components)."""
    array: Array = numpy_support.vtk_to_numpy(vtk_array)  # type: ignore[no-untyped-call]
    return array


def as_vtk(array: Array) -> Any:
    """A vtk data array with a copy of the numbers, shape (tuples,) or (tuples, components)."""
    return numpy_support.numpy_to_vtk(array, deep=True)  # type: ignore[no-untyped-call]


def image_array(image: Any) -> Array:
    """The scalars of a one-component vtkImageData, shape (K, J, I), a view without a copy."""
    i, j, k = image.GetDimensions()
    return as_numpy(image.GetPointData().GetScalars()).reshape(k, j, i)


def vtk_type(dtype: Any) -> int:
    """vtk's number for a numpy type."""
    return int(numpy_support.get_vtk_array_type(dtype))  # type: ignore[no-untyped-call]
