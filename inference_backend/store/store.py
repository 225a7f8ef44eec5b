"""Volumes by content hash, images by SHA-256, results by id."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inference_backend.imaging.volume import Volume
from inference_backend.store.folder import ServiceFolder
from inference_backend.store.shelf import Shelf
from VILAM3SlicerLib.protocol.content_hash import content_hash
from VILAM3SlicerLib.protocol.errors import HashMismatch, UnsupportedVolume
from VILAM3SlicerLib.protocol.nrrd import NrrdVolume, decode_nrrd, encode_nrrd

GIB = 1024**3


@dataclass(frozen=True)
class StoreLimits:
    """Bytes on disk that may be kept of each kind, and the voxels of one volume."""

    volumes: int = 8 * GIB
    images: int = 1 * GIB
    results: int = 2 * GIB
    one_volume: int = 4 * GIB


class Store:
    """All that the service keeps on disk."""

    def __init__(self, folder: ServiceFolder, limits: StoreLimits | None = None) -> None:
        self.limits = limits or StoreLimits()
        self.volumes = Shelf(folder.subfolder("volumes"), ".nrrd", self.limits.volumes, "volume")
        self.images = Shelf(folder.subfolder("images"), ".png", self.limits.images, "image")
        self.results = Shelf(folder.subfolder("results"), ".nrrd", self.limits.results, "result")

    def keep_volume(self, expected_hash: str, incoming: Path) -> bool:
        """Check and keep an uploaded NRRD; False where it was known already. Kept uncompressed.

        Raises:
            UnsupportedVolume: it is not a 3D scalar NRRD with a geometry.
            HashMismatch: its content is not what the hash names.
            TooLarge: it has more voxels than the limit.
        """
        packed = _verify(expected_hash, incoming, self.limits.one_volume)
        if packed is not None:
            incoming.write_bytes(packed)
        return self.volumes.adopt(expected_hash, incoming)

    def keep_result(self, incoming: Path) -> str:
        """Keep a labelmap that an expert wrote and give it an id."""
        result_id = uuid.uuid4().hex
        self.results.adopt(result_id, incoming)
        return result_id

    def keep(self, png: bytes) -> str:
        """Keep an image and return its SHA-256."""
        name = content_hash(png)
        if name not in self.images:
            with self.images.incoming() as incoming:
                incoming.write_bytes(png)
                self.images.adopt(name, incoming)
        return name

    def image(self, name: str) -> bytes:
        """The PNG of that SHA-256. Raises NotFound with the code ``image_unknown``."""
        return self.images.path(name).read_bytes()


def read_volume(path: Path, max_voxel_bytes: int = StoreLimits.one_volume) -> Volume:
    """A stored volume; uncompressed voxels are mapped from the file, not copied.

    Raises:
        UnsupportedVolume: the file is no 3D scalar NRRD with a geometry.
    """
    return Volume.from_nrrd(_decode(path, max_voxel_bytes))


def _decode(path: Path, max_voxel_bytes: int) -> NrrdVolume:
    if not path.stat().st_size:
        raise UnsupportedVolume("The volume is empty: no bytes arrived.", "Send it again.")
    content = np.memmap(path, dtype=np.uint8, mode="r")
    return decode_nrrd(content.data, max_voxel_bytes)


def write_labelmap(path: Path, labelmap: Volume) -> None:
    """Write a labelmap as an NRRD with gzip encoding."""
    path.write_bytes(encode_nrrd(labelmap.to_nrrd(), compress=True))


def _verify(expected_hash: str, incoming: Path, max_voxel_bytes: int) -> bytes | None:
    """Check the content; the uncompressed file's bytes where the file was compressed.

    The mapping of the file ends with this function: Windows does not replace a mapped file.
    """
    nrrd = _decode(incoming, max_voxel_bytes)
    volume = Volume.from_nrrd(nrrd)
    if volume.content_hash != expected_hash:
        raise HashMismatch(
            "The volume that arrived is not the one that its hash names.",
            "Send it again; if this repeats, viewer and backend have different versions.",
        )
    was_compressed = isinstance(nrrd.voxels, bytes)  # else it is a view of the file
    return encode_nrrd(nrrd) if was_compressed else None
