"""The heat map of a finding, laid over the scan in the slice views."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from vtkmodules.vtkIOImage import vtkPNGReader

from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.protocol.events import HeatMap
from VILAM3SlicerLib.protocol.phrases import phrases
from VILAM3SlicerLib.scene.arrays import image_array
from VILAM3SlicerLib.scene.geometry import from_wire, to_vtk
from VILAM3SlicerLib.scene.views import slice_views
from VILAM3SlicerLib.scene.volumes import HEAT_MAP

_ = phrases(__name__)

_OPACITY = 0.45
_WEAKEST = 0.25
"""Of the strongest sign; what is weaker is left clear, so that most of the image is seen as it is."""

_LEVELS = 256


class HeatMapOverlay:
    """Shows one heat map at a time in the foreground of the slice views; what was there comes back.

    Args:
        scene: the MRML scene.
        app_logic: the application logic.
    """

    def __init__(self, scene: Any, app_logic: Any) -> None:
        self._scene = scene
        self._app_logic = app_logic
        self._nodes: list[Any] = []
        self._before: list[tuple[Any, str | None, float]] = []
        self.shown: HeatMap | None = None
        self._turn_id = ""

    def show(self, volume_node: Any, heat: HeatMap, png: bytes, turn_id: str = "") -> None:
        """Lay a map over a scan, in place of the one before; a parent transform of the scan is given to it.

        ``turn_id`` is that of the turn which found it, see ``hide_of``.

        Raises:
            SceneError: the picture is not what the map says.
        """
        self.hide()
        image = _image(png, heat)
        colors = self._add("vtkMRMLColorTableNode", "VILA-M3 heat colors")
        _fill(colors)
        node = self._add("vtkMRMLScalarVolumeNode", f"{heat.finding} (heat map)")
        node.SetIJKToRASMatrix(to_vtk(from_wire(heat.pixel_to_ras)))
        node.SetAndObserveImageData(image)
        node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
        display = self._add("vtkMRMLScalarVolumeDisplayNode", "VILA-M3 heat display")
        display.SetAutoWindowLevel(0)
        display.SetWindowLevelMinMax(0, _LEVELS - 1)
        display.SetAndObserveColorNodeID(colors.GetID())
        node.SetAndObserveDisplayNodeID(display.GetID())
        self._to_front(node)
        self.shown, self._turn_id = heat, turn_id

    def hide_of(self, turn_id: str) -> None:
        """Take the map away if it is of this turn."""
        if self.shown is not None and self._turn_id == turn_id:
            self.hide()

    def hide(self) -> None:
        """Take the map away."""
        before, nodes = self._before, self._nodes
        self._before, self._nodes, self.shown = [], [], None  # who hears of a removal may hide, too
        for composite, volume, opacity in before:
            composite.SetForegroundVolumeID(volume)
            composite.SetForegroundOpacity(opacity)
        for node in reversed(nodes):
            if node.GetScene() is self._scene:
                self._scene.RemoveNode(node)

    def _add(self, kind: str, name: str) -> Any:
        node = self._scene.AddNewNodeByClass(kind, name)
        node.SetAttribute(HEAT_MAP, "1")
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)  # the conversation holds the map
        self._nodes.append(node)
        return node

    def _to_front(self, node: Any) -> None:
        for view in slice_views(self._app_logic):
            composite = view.logic.GetSliceCompositeNode()
            before = (composite, composite.GetForegroundVolumeID(), composite.GetForegroundOpacity())
            self._before.append(before)
            composite.SetForegroundVolumeID(node.GetID())
            composite.SetForegroundOpacity(_OPACITY)


def _image(png: bytes, heat: HeatMap) -> Any:
    """The grey picture as ``vtkImageData`` whose J runs down, as the map's rows do."""
    with TemporaryDirectory() as folder:  # reading from memory has another name in each VTK
        path = Path(folder) / "heat.png"
        path.write_bytes(png)
        reader = vtkPNGReader()
        reader.SetFileName(str(path))
        reader.Update()
    image = reader.GetOutput()
    if image.GetDimensions() != (heat.columns, heat.rows, 1) or image.GetNumberOfScalarComponents() != 1:
        raise SceneError(
            _("The heat map of {finding} cannot be shown.").format(finding=heat.finding), _("Ask again.")
        )
    pixels = image_array(image)
    pixels[...] = pixels[:, ::-1].copy()  # vtk reads the bottom row first
    return image


def _fill(colors: Any) -> None:
    """From red to yellow; weak signs are not painted. Slicer's layers know clear and solid only."""
    colors.SetTypeToUser()
    colors.SetNumberOfColors(_LEVELS)
    for level, share in enumerate(np.linspace(0, 1, _LEVELS).tolist()):
        shown = max(0.0, (share - _WEAKEST) / (1 - _WEAKEST))
        opacity = 1.0 if share >= _WEAKEST else 0.0
        colors.SetColor(level, f"{share:.2f}", min(1.0, 0.55 + shown), shown**1.5, 0.0, opacity)
