"""Whole scenes as files (.mrb): the scan, its segments and the conversation, as 3D Slicer opens them too."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from VILAM3SlicerLib.protocol.errors import SceneError, TooLarge, UnsupportedVolume
from VILAM3SlicerLib.scene.conversation_store import discussed_volume
from VILAM3SlicerLib.scene.geometry import ras_to_world, to_vtk
from VILAM3SlicerLib.scene.modality import guess_modality
from VILAM3SlicerLib.scene.scan_nodes import adopt_texts
from VILAM3SlicerLib.scene.segmentation import adopt_segmentation, find_segmentation
from VILAM3SlicerLib.scene.sequence_candidates import sequence_candidates
from VILAM3SlicerLib.scene.surfaces import without_surfaces
from VILAM3SlicerLib.scene.volumes import check_volume, volume_nodes

SUFFIX = ".mrb"
MAX_UNPACKED_BYTES = 16 * 1024**3


def is_scene(path: Path) -> bool:
    """Whether the file is to be opened as a scene."""
    return path.suffix.lower() == SUFFIX


def check_scene_file(path: Path) -> None:
    """Refuse what cannot be opened while the present scene is still there; touches no scene.

    Raises:
        UnsupportedVolume: no file, no scene bundle, or one without a scan.
        TooLarge: it unpacks to more than this viewer takes.
    """
    if not path.is_file():
        raise UnsupportedVolume(f"There is no file '{path}'.", "Check the path.")
    try:
        with ZipFile(path) as bundle:
            size = sum(entry.file_size for entry in bundle.infolist())
            scenes = [name for name in bundle.namelist() if name.lower().endswith(".mrml")]
            has_scan = bool(scenes) and b"<Volume" in bundle.read(scenes[0])
            broken = bundle.testzip() if size <= MAX_UNPACKED_BYTES else None
    except (BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise UnsupportedVolume(
            f"'{path.name}' cannot be read as a scene.", "Choose a scene bundle (.mrb) saved by 3D Slicer."
        ) from error
    if size > MAX_UNPACKED_BYTES:
        raise TooLarge(f"'{path.name}' unpacks to {size:,} bytes.", "Open the scan itself instead.")
    if broken or not has_scan:
        why = f"'{broken}' in it is damaged" if broken else "it has no scan"
        raise UnsupportedVolume(f"The scene '{path.name}' cannot be used: {why}.", "Choose another one.")


def load_scene(slicer_app: Any, path: Path) -> list[Any]:
    """Bring the scan of a checked file into the present scene, with its segments, conversation and report.

    The file is read into a scene of its own first: what is on the screen stays until all went well, and the
    views keep their nodes. Other scans, models and view settings of the file are left out.

    Returns:
        The volume nodes: the scan that was talked about, else the first; then what else may be of its study.

    Raises:
        UnsupportedVolume: it has no scan that can be shown.
    """
    saved = type(slicer_app)()
    if not saved.io_manager.load_scene(str(path)):
        raise UnsupportedVolume(f"The scene '{path.name}' cannot be loaded.", "Choose another one.")
    volume = discussed_volume(saved.scene) or next(iter(volume_nodes(saved.scene)), None)
    check_volume(volume)
    node = _copy(slicer_app.scene, volume)
    segmentation = find_segmentation(saved.scene, volume)
    if segmentation is not None:
        adopt_segmentation(slicer_app.scene, node, segmentation)
    adopt_texts(slicer_app.scene, node, saved.scene, volume)
    return [node, *(_copy(slicer_app.scene, one) for one in _study_of(saved.scene, volume))]


def _study_of(scene: Any, volume: Any) -> list[Any]:
    """The other volumes that may be sequences, where the scan is an MRI."""
    if guess_modality(scene, volume) != "MRI":
        return []
    keys = [one.key for one in sequence_candidates(scene, {}) if one.key != volume.GetID()]
    return [scene.GetNodeByID(key) for key in keys]


def _copy(scene: Any, volume: Any) -> Any:
    """The volume as a node of another scene: voxels shared, with its window and linear parent transform."""
    node = scene.AddNewNodeByClass(volume.GetClassName(), volume.GetName())
    node.CopyContent(volume, False)
    node.CreateDefaultDisplayNodes()
    if volume.GetDisplayNode() is not None:
        node.GetDisplayNode().CopyContent(volume.GetDisplayNode())
    for name in volume.GetAttributeNames() or ():
        node.SetAttribute(name, volume.GetAttribute(name))
    to_world = ras_to_world(volume)
    if volume.GetParentTransformNode() is not None:
        transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Transform of the scan")
        transform.SetMatrixTransformToParent(to_vtk(to_world))
        node.SetAndObserveTransformNodeID(transform.GetID())
    return node


def save_scene(slicer_app: Any, path: Path) -> None:
    """Write the scene with everything in it but the surfaces, which Slicer would build again while it loads.

    Raises:
        SceneError: the file cannot be written.
    """
    nodes = slicer_app.scene.GetNodesByClass("vtkMRMLSegmentationNode")
    segmentations = [nodes.GetItemAsObject(index) for index in range(nodes.GetNumberOfItems())]
    with ExitStack() as stack:
        for segmentation in segmentations:
            stack.enter_context(without_surfaces(segmentation))
        if not slicer_app.io_manager.save_scene(str(path)):
            raise SceneError(f"{path} could not be written.", "Is there room on the disk, and permission?")
