"""A scan in the scene as the volume that goes over the wire: checked, hashed, in pieces, without copies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import slicer

from VILAM3SlicerLib.protocol.content_hash import VolumeDigest
from VILAM3SlicerLib.protocol.errors import UnsupportedVolume
from VILAM3SlicerLib.protocol.nrrd import NrrdVolume, nrrd_header
from VILAM3SlicerLib.protocol.phrases import phrases
from VILAM3SlicerLib.scene.arrays import Array, image_array
from VILAM3SlicerLib.scene.geometry import ijk_to_ras, ras_to_world, to_frame_of, to_wire, world_box

_ = phrases(__name__)

HEAT_MAP = "VILAM3.HeatMap"
"""Attribute of the nodes that show a heat map over a scan."""

PIECE_BYTES = 4 * 1024 * 1024
"""Hashed in about 3 ms, so that a user interface can breathe between two pieces."""

_WIRE_TYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64")


def check_volume(node: Any) -> None:
    """Refuse what cannot be talked about.

    Raises:
        UnsupportedVolume: no volume, no image data, empty, 2D+t or colour, tensors, a label map, flat
            voxels, or under a non-linear transform; the message says which and what to do.
    """
    if node is None or not node.IsA("vtkMRMLScalarVolumeNode"):
        raise UnsupportedVolume(
            _("There is no scan to talk about."), _("Load a CT, MRI or X-ray image first.")
        )
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        raise UnsupportedVolume(
            _("'{name}' is a label map, not an image.").format(name=node.GetName()),
            _("Show the scan it belongs to."),
        )
    _check_image(node.GetName(), node.GetImageData())
    _check_place(node)


def _check_image(name: str, image: Any) -> None:
    if image is not None and image.GetPointData().GetTensors() is not None:
        raise UnsupportedVolume(
            _("'{name}' holds diffusion tensors, not an image.").format(name=name),
            _("Show the scan, or a scalar map of the tensors."),
        )
    if image is None or image.GetPointData().GetScalars() is None or 0 in image.GetDimensions():
        raise UnsupportedVolume(
            _("'{name}' has no voxels.").format(name=name), _("Load the scan again from its files.")
        )
    components = image.GetNumberOfScalarComponents()
    if components != 1:
        raise UnsupportedVolume(
            _("'{name}' has {components} values per voxel: it is in colour or has several frames.").format(
                name=name, components=components
            ),
            _("Extract one frame or channel as a scalar volume and show that."),
        )


def _check_place(node: Any) -> None:
    matrix = ijk_to_ras(node)
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < 1e-9:
        raise UnsupportedVolume(
            _("The voxels of '{name}' have no size.").format(name=node.GetName()),
            _("Mend its spacing and directions."),
        )
    ras_to_world(node)


def volume_bounds(node: Any) -> tuple[float, ...]:
    """The box around a volume's voxels: world RAS in mm, lowest and highest R, A and S in turn.

    Raises:
        UnsupportedVolume: a parent transform is not linear.
    """
    size = np.array(node.GetImageData().GetDimensions())
    return world_box(ras_to_world(node) @ ijk_to_ras(node), [-0.5] * 3, (size - 0.5).tolist())


def voxel_array(node: Any) -> Array:
    """The voxels of a checked volume node, shape (K, J, I): Slicer's order, a view without a copy."""
    return image_array(node.GetImageData())


def read_volume(node: Any, frame_node: Any = None) -> NrrdVolume:
    """The volume as it goes over the wire, in its own RAS frame: a linear parent transform is left out.

    Args:
        frame_node: another volume in whose RAS frame it shall lie, as a sequence that was registered to it
            by a transform.

    The voxels are a view of the node's memory, so a change of the node shows in them; 64-bit integers, which
    the wire has not, are copied into 32 bits.

    Raises:
        UnsupportedVolume: see ``check_volume``; or 64-bit integers beyond 32 bits.
    """
    check_volume(node)
    array = _wire_array(voxel_array(node), node.GetName())
    k, j, i = array.shape
    voxels = memoryview(array.reshape(-1).view(np.uint8).data)
    matrix = ijk_to_ras(node)
    if frame_node is not None:
        matrix = to_frame_of(frame_node, node) @ matrix
    return NrrdVolume(array.dtype.name, (i, j, k), to_wire(matrix), voxels)


def _wire_array(array: Array, name: str) -> Array:
    if array.dtype.name in _WIRE_TYPES:
        return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    narrow = array.astype("<i4")
    if not np.array_equal(narrow, array):
        raise UnsupportedVolume(
            _("The voxels of '{name}' ({kind}) do not fit into 32 bits.").format(
                name=name, kind=array.dtype.name
            ),
            _("Convert the volume to int32 or float."),
        )
    return narrow


def pieces(volume: NrrdVolume, piece_bytes: int = PIECE_BYTES) -> Iterator[memoryview]:
    """The voxels in their order, ``piece_bytes`` at a time, without copying."""
    voxels = memoryview(volume.voxels)
    for start in range(0, len(voxels), piece_bytes):
        yield voxels[start : start + piece_bytes]


def nrrd_pieces(volume: NrrdVolume) -> Iterator[bytes | memoryview]:
    """An uncompressed NRRD body in pieces, as an upload wants it."""
    yield nrrd_header(volume.dtype, volume.shape, volume.ijk_to_ras, "raw")
    yield from pieces(volume)


class VolumeHashing:
    """The content hash of a volume, a piece at a time.

    ``for fraction in hashing: ...`` works through the volume; ``content_hash`` is known afterwards.
    """

    def __init__(self, volume: NrrdVolume) -> None:
        self._volume = volume
        self._digest = VolumeDigest(volume.dtype, volume.shape, volume.ijk_to_ras)

    def __iter__(self) -> Iterator[float]:
        """Hash the next piece and yield the fraction done, 0 to 1."""
        total, done = len(self._volume.voxels), 0
        for piece in pieces(self._volume):
            self._digest.update(piece)
            done += len(piece)
            yield done / total

    @property
    def content_hash(self) -> str:
        """64 hex digits: the name of the volume on the wire."""
        return self._digest.hexdigest()


def hash_volume(volume: NrrdVolume) -> str:
    """The content hash in one go; 512x512x133 int16 takes about 50 ms."""
    hashing = VolumeHashing(volume)
    for _ in hashing:
        pass
    return hashing.content_hash


def volume_nodes(scene: Any) -> list[Any]:
    """The scans of a scene, label maps and our own overlays left out."""
    nodes = scene.GetNodesByClass("vtkMRMLScalarVolumeNode")
    found = [nodes.GetItemAsObject(index) for index in range(nodes.GetNumberOfItems())]
    scans = [node for node in found if not isinstance(node, slicer.vtkMRMLLabelMapVolumeNode)]
    return [node for node in scans if not node.GetAttribute(HEAT_MAP)]
