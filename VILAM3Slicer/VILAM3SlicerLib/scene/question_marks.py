"""Points and a box that the person places in the views for the next question, as Slicer's own markups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import slicer
from vtkmodules.vtkCommonCore import vtkCommand

from VILAM3SlicerLib.protocol.messages import BoxRegion, PointPrompt
from VILAM3SlicerLib.scene.geometry import Affine, ras_to_world, to_numpy, to_vtk, to_wire, transform_point
from VILAM3SlicerLib.scene.geometry import world_to_ras as world_to_ras_of

Kind = Literal["add", "remove", "box"]
MARK = "VILAM3.Mark"
"""Attribute of the markups of the next question: what kind they are of."""

_POINTS = "vtkMRMLMarkupsFiducialNode"
_BOX = "vtkMRMLMarkupsROINode"
_LOOKS: dict[str, tuple[str, str, tuple[float, float, float]]] = {
    "add": (_POINTS, "Ask here: include", (0.2, 0.9, 0.3)),
    "remove": (_POINTS, "Ask here: exclude", (1.0, 0.3, 0.3)),
    "box": (_BOX, "Ask about this box", (0.5, 0.75, 1.0)),
}
"""Class, name and colour."""


class QuestionMarks:
    """The markups of the next question; they are in the scene as soon as one is placed.

    ``on_change`` is called after a mark was placed, moved or removed, and after placing began or ended.

    Args:
        scene: the MRML scene.
        app_logic: the application logic, whose selection and interaction nodes let the person place.
    """

    def __init__(self, scene: Any, app_logic: Any) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._scene = scene
        self._selection = app_logic.GetSelectionNode()
        self._interaction = app_logic.GetInteractionNode()
        self._observed: list[tuple[Any, int]] = []
        self._placing: Kind | Literal[""] = ""
        modes = slicer.vtkMRMLInteractionNode
        self._observe(self._interaction, modes.InteractionModeChangedEvent, self._after_mode)
        self._observe(scene, slicer.vtkMRMLScene.NodeRemovedEvent, self._after_removal)

    def close(self) -> None:
        """Observe nothing any more."""
        for subject, tag in self._observed:
            subject.RemoveObserver(tag)
        self._observed.clear()

    @property
    def placing(self) -> Kind | Literal[""]:
        """What the next click in a view places; empty where it places none of ours."""
        return self._placing

    def start_placing(self, kind: Kind) -> None:
        """Let the next click in a view place a point, or the next two a box; points until it is ended."""
        node = self._node(kind) or self._make(kind)
        if kind == "box":
            node.RemoveAllControlPoints()
        self._placing = kind
        self._selection.SetReferenceActivePlaceNodeClassName(node.GetClassName())
        self._selection.SetActivePlaceNodeID(node.GetID())
        self._interaction.SetPlaceModePersistence(0 if kind == "box" else 1)
        self._interaction.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.Place)
        self.on_change()

    def stop_placing(self) -> None:
        """Clicks in the views do what they did before."""
        if self._placing:
            self._interaction.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.ViewTransform)

    def points(self, volume_node: Any) -> tuple[PointPrompt, ...]:
        """The points, RAS in the frame of a volume node; those to include come first.

        Raises:
            UnsupportedVolume: a parent transform of the volume is not linear.
        """
        to_ras = world_to_ras_of(volume_node)
        return tuple(
            PointPrompt(transform_point(to_ras, node.GetNthControlPointPositionWorld(index)), kind == "add")
            for kind, node, index in self._placed()
        )

    def box(self, volume_node: Any) -> BoxRegion | None:
        """The box in the frame of a volume node, None where there is none.

        Raises:
            UnsupportedVolume: a parent transform of the volume is not linear.
        """
        box_to_world = self.box_to_world
        if box_to_world is None:
            return None
        return BoxRegion(to_wire(world_to_ras_of(volume_node) @ box_to_world))

    @property
    def box_to_world(self) -> Affine | None:
        """The cube from -0.5 to 0.5 along each axis to the box in the world, RAS in mm; None without one."""
        node = self._node("box")
        if node is None or node.GetNumberOfDefinedControlPoints() == 0 or min(node.GetSize()) <= 0:
            return None
        matrix: Affine = to_numpy(node.GetObjectToWorldMatrix()) @ np.diag([*node.GetSize(), 1.0])
        return matrix

    def put(self, volume_node: Any, points: Sequence[PointPrompt], box: BoxRegion | None) -> None:
        """Place points and a box that are given in the frame of a volume node.

        Raises:
            UnsupportedVolume: a parent transform of the volume is not linear.
        """
        to_world = ras_to_world(volume_node)
        for point in points:
            kind: Kind = "add" if point.is_positive else "remove"
            node = self._node(kind) or self._make(kind)
            node.AddControlPointWorld(*transform_point(to_world, point.ras))
        if box is not None:
            self._put_box(to_world @ np.array(box.box_to_ras).reshape(4, 4))
        self.on_change()

    def remove_point(self, index: int) -> None:
        """Take a point away, by its place among ``points``; nothing where there is none."""
        placed = self._placed()
        if 0 <= index < len(placed):
            _, node, position = placed[index]
            node.RemoveNthControlPoint(position)

    def remove_box(self) -> None:
        """Take the box away."""
        self._remove("box")

    def clear(self) -> None:
        """Take everything away."""
        self.stop_placing()
        for kind in _LOOKS:
            self._remove(kind)

    def _placed(self) -> list[tuple[str, Any, int]]:
        """Kind, node and position of each point that has been set down; one that still hangs on the cursor
        is none."""
        defined = slicer.vtkMRMLMarkupsNode.PositionDefined
        return [
            (kind, node, index)
            for kind in ("add", "remove")
            if (node := self._node(kind)) is not None
            for index in range(node.GetNumberOfControlPoints())
            if node.GetNthControlPointPositionStatus(index) == defined
        ]

    def _node(self, kind: str) -> Any:
        nodes = self._scene.GetNodesByClass(_LOOKS[kind][0])
        found = (nodes.GetItemAsObject(index) for index in range(nodes.GetNumberOfItems()))
        return next((node for node in found if node.GetAttribute(MARK) == kind), None)

    def _make(self, kind: str) -> Any:
        class_name, name, colour = _LOOKS[kind]
        node = self._scene.AddNewNodeByClass(class_name, name)
        node.SetAttribute(MARK, kind)
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetSelectedColor(*colour)
        display.SetColor(*colour)
        display.SetPointLabelsVisibility(False)
        display.SetPropertiesLabelVisibility(False)
        display.SetFillOpacity(0.1)
        events = slicer.vtkMRMLMarkupsNode
        told = (events.PointPositionDefinedEvent, events.PointModifiedEvent, events.PointRemovedEvent)
        for event in (*told, vtkCommand.ModifiedEvent):
            self._observe(node, event, self._after_change)
        return node

    def _put_box(self, box_to_world: Affine) -> None:
        """A box whose edges are at right angles, as Slicer's are."""
        node = self._node("box") or self._make("box")
        size = np.linalg.norm(box_to_world[:3, :3], axis=0)
        turned = box_to_world.copy()
        turned[:3, :3] /= size
        node.SetAndObserveObjectToNodeMatrix(to_vtk(turned))
        node.SetSize(*size.tolist())

    def _remove(self, kind: str) -> None:
        node = self._node(kind)
        if node is not None:
            self._scene.RemoveNode(node)

    def _observe(self, subject: Any, event: int, action: Callable[..., None]) -> None:
        self._observed.append((subject, subject.AddObserver(event, action)))

    def _after_change(self, *_: object) -> None:
        self.on_change()

    def _after_mode(self, *_: object) -> None:
        is_place = self._interaction.GetCurrentInteractionMode() == slicer.vtkMRMLInteractionNode.Place
        if self._placing and not is_place:
            self._placing = ""
            self.on_change()

    def _after_removal(self, *_: object) -> None:
        there = [(one, tag) for one, tag in self._observed if self._is_there(one)]
        if len(there) < len(self._observed):
            self._observed = there
            self.on_change()

    def _is_there(self, subject: Any) -> bool:
        return not subject.IsA("vtkMRMLMarkupsNode") or subject.GetScene() is self._scene
