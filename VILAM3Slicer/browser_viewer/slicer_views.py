"""Slicer Core with three slice views and a 3D view, drawn off the screen."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from browser_viewer.loading import Scan
from VILAM3SlicerLib.protocol.errors import VilaM3Error

SLICE_VIEWS = ("Red", "Green", "Yellow")
"""Slicer's names of the axial, coronal and sagittal view."""

TITLES = {"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal", "ThreeD": "3D"}

_PROBE = (
    "import vtkmodules.vtkRenderingOpenGL2; from vtkmodules.vtkRenderingCore import vtkRenderWindow as W;"
    "w = W(); w.SetOffScreenRendering(1); w.SetSize(8, 8); w.Render()"
)


def prepare_rendering() -> None:
    """Choose off-screen rendering and make sure that it works; call it before vtk is imported.

    VTK ends the whole process where a library of OpenGL is missing, hence the trial in a process of its own.

    Raises:
        VilaM3Error: this machine cannot render; the hint says what to install.
    """
    if sys.platform != "linux":
        return
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    trial = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, check=False, timeout=120)
    if trial.returncode != 0:
        raise VilaM3Error(
            "This machine cannot draw pictures: OpenGL without a screen (EGL) is missing.",
            "Debian and Ubuntu: sudo apt-get install -y libegl1 libgl1-mesa-dri",
            code="no_egl",
        )


def create_slicer() -> Any:
    """A ``trame_slicer.core.SlicerApp``: the scene, its application logic and the modules' logics."""
    from trame_slicer.core import SlicerApp

    return SlicerApp()


@contextmanager
def quiet_vtk() -> Iterator[None]:
    """Without VTK's warnings: each new view complains about an event that trame-slicer observes."""
    from vtkmodules.vtkCommonCore import vtkObject

    vtkObject.GlobalWarningDisplayOff()
    try:
        yield
    finally:
        vtkObject.GlobalWarningDisplayOn()


def add_scan(scene: Any, scan: Scan, patients: MutableMapping[str, str] | None = None) -> Any:
    """Put a scan into the scene as a volume node with a display window; copies the voxels.

    Args:
        patients: learns whose scan it is, see ``sequence_candidates``.
    """
    from vtkmodules.vtkCommonDataModel import vtkImageData

    from VILAM3SlicerLib.scene.arrays import as_vtk
    from VILAM3SlicerLib.scene.geometry import to_vtk
    from VILAM3SlicerLib.scene.modality import DICOM_MODALITY
    from VILAM3SlicerLib.scene.scan_nodes import safe_name
    from VILAM3SlicerLib.scene.sequence_candidates import SERIES_DESCRIPTION
    from VILAM3SlicerLib.scene.stored_range import tell_stored_range

    slices, rows, columns = scan.voxels.shape
    image = vtkImageData()
    image.SetDimensions(columns, rows, slices)
    image.GetPointData().SetScalars(as_vtk(scan.voxels.ravel()))
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", safe_name(scan.name))
    node.SetIJKToRASMatrix(to_vtk(scan.ijk_to_ras))
    node.SetAndObserveImageData(image)
    for attribute, said in (
        (DICOM_MODALITY, scan.tags.modality),
        (SERIES_DESCRIPTION, scan.tags.description),
    ):
        if said:
            node.SetAttribute(attribute, said)
    tell_stored_range(node, scan.tags.stored_range)
    if patients is not None:
        patients[node.GetID()] = scan.tags.patient
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(0)
    display.SetWindowLevel(*_window_level(scene, node, scan))
    return node


def _window_level(scene: Any, node: Any, scan: Scan) -> tuple[float, float]:
    """That of the file, the published one for CT, else what shows all but the extreme values."""
    from VILAM3SlicerLib.scene.modality import guess_modality
    from VILAM3SlicerLib.scene.published import CT_RANGE

    if scan.tags.window:
        return scan.tags.window, scan.tags.level
    low, high = CT_RANGE
    if guess_modality(scene, node) != "CT":
        some = scan.voxels[:: max(1, len(scan.voxels) // 32), ::2, ::2].astype(np.float64)
        low, high = (float(value) for value in np.percentile(some, (0.5, 99.5)))
    if high <= low:
        low, high = float(scan.voxels.min()), float(scan.voxels.max())
    return float(high - low), float(high + low) / 2


class OffscreenViews:
    """Three slice views and a 3D view that are drawn only when asked to."""

    def __init__(self, slicer_app: Any, size: tuple[int, int]) -> None:
        """``size`` is the width and height of each view in pixels."""
        from trame_slicer.views import DirectViewFactory, NoScheduleRendering, ViewLayoutDefinition

        slicer_app.view_manager.register_factory(DirectViewFactory(do_render_offscreen=True))
        kinds = (
            ViewLayoutDefinition.axial_view(),
            ViewLayoutDefinition.coronal_view(),
            ViewLayoutDefinition.sagittal_view(),
            ViewLayoutDefinition.threed_view(background_color="#101418"),
        )
        self._views: dict[str, Any] = {}
        with quiet_vtk():
            for kind in kinds:
                view = slicer_app.view_manager.create_view(kind)
                view.set_scheduled_render(NoScheduleRendering())  # else each MRML event draws all views
                view.render_window().SetMultiSamples(0)  # else Mesa drops translucent surfaces
                view.render_window().SetSize(*size)
                self._views[kind.singleton_tag] = view
        self._views["ThreeD"].renderer().SetUseFXAA(True)

    def show(self, volume_node: Any) -> None:
        """Put a volume into the background of the slice views, fitted."""
        with quiet_vtk():
            for name in SLICE_VIEWS:
                self._views[name].set_background_volume_id(volume_node.GetID())
                self._views[name].fit_view_to_content()

    def fit_threed(self) -> None:
        """Bring what is in the 3D view into sight, seen from the front."""
        self._views["ThreeD"].fit_view_to_content()

    def pixels(self, name: str) -> NDArray[np.uint8]:
        """Draw a view; shape (rows from the top, columns, 3)."""
        import slicer
        from vtkmodules.vtkCommonDataModel import vtkImageData

        from VILAM3SlicerLib.scene.arrays import as_numpy

        view = self._views[name]
        view.render()
        image = vtkImageData()
        slicer.vtkMRMLLayerDisplayableManager.RenderWindowBufferToImage(view.render_window(), image)
        columns, rows, _ = image.GetDimensions()
        values = as_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)
        flipped: NDArray[np.uint8] = values[::-1, :, :3].copy()
        return flipped
