"""Volumes as NRRD bodies: the little of the format that goes over the wire.

Written and read here because neither Slicer's Python nor a standard library reads NRRD from memory; the
files are plain NRRD (checked against SimpleITK and pynrrd). Format: teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from VILAM3SlicerLib.protocol.errors import TooLarge, UnsupportedVolume
from VILAM3SlicerLib.protocol.messages import IDENTITY, Matrix

_TYPES = {
    "int8": ("int8", "signed char", "int8_t"),
    "uint8": ("uint8", "uchar", "unsigned char", "uint8_t"),
    "int16": ("int16", "short", "signed short", "int16_t"),
    "uint16": ("uint16", "ushort", "unsigned short", "uint16_t"),
    "int32": ("int32", "int", "signed int", "int32_t"),
    "uint32": ("uint32", "uint", "unsigned int", "uint32_t"),
    "float32": ("float",),
    "float64": ("double",),
}
_DTYPE_OF = {name: dtype for dtype, names in _TYPES.items() for name in names}
_BYTES = {"int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "float32": 4, "float64": 8}
_MAX_HEADER = 64 * 1024


@dataclass(frozen=True)
class NrrdVolume:
    """A volume as bytes: ``voxels`` little-endian, I fastest; ``shape`` along I, J, K; RAS in mm."""

    dtype: str
    shape: tuple[int, int, int]
    ijk_to_ras: Matrix
    voxels: bytes | memoryview


def nrrd_header(dtype: str, shape: Sequence[int], ijk_to_ras: Sequence[float], encoding: str) -> bytes:
    """The header, blank line included; the voxels follow it, ``encoding`` raw or gzip."""
    column = [[ijk_to_ras[4 * row + axis] for row in range(3)] for axis in range(4)]
    directions = " ".join(_vector(column[axis]) for axis in range(3))
    lines = (
        "NRRD0004",
        f"type: {_TYPES[dtype][0] if dtype[0] != 'f' else _TYPES[dtype][-1]}",
        "dimension: 3",
        "space: right-anterior-superior",
        f"sizes: {' '.join(str(size) for size in shape)}",
        f"space directions: {directions}",
        "kinds: domain domain domain",
        "endian: little",
        f"encoding: {encoding}",
        f"space origin: {_vector(column[3])}",
    )
    return ("\n".join(lines) + "\n\n").encode("ascii")


def _vector(values: Sequence[float]) -> str:
    return "(" + ",".join(repr(float(value)) for value in values) + ")"


def encode_nrrd(volume: NrrdVolume, compress: bool = False) -> bytes:
    """A whole NRRD file; gzip at level 1 where ``compress`` is set, else raw."""
    encoding = "gzip" if compress else "raw"
    header = nrrd_header(volume.dtype, volume.shape, volume.ijk_to_ras, encoding)
    body = gzip.compress(volume.voxels, 1, mtime=0) if compress else volume.voxels
    return b"".join((header, body))


def decode_nrrd(data: bytes | memoryview, max_voxel_bytes: int = 8 * 1024**3) -> NrrdVolume:
    """Read a 3D scalar NRRD from memory.

    Raises:
        UnsupportedVolume: not NRRD, not 3D, empty, a detached or unknown encoding, or too few voxels.
        TooLarge: more voxel bytes than ``max_voxel_bytes``.
    """
    fields, body = _split(memoryview(data))
    dtype = _DTYPE_OF.get(fields.get("type", ""))
    shape = _shape(fields)
    if dtype is None:
        raise UnsupportedVolume(f"NRRD voxels of type '{fields.get('type', '')}' are not supported.")
    if "data file" in fields or "datafile" in fields:
        raise UnsupportedVolume("An NRRD with a detached data file cannot be sent.")
    expected = prod(shape) * _BYTES[dtype]
    if expected > max_voxel_bytes:
        raise TooLarge(
            f"The volume has {expected / 1e9:.1f} GB of voxels; the limit is {max_voxel_bytes / 1e9:.1f} GB.",
            "Crop or resample the volume first.",
        )
    return NrrdVolume(dtype, shape, _matrix(fields), _voxels(fields, body, expected))


def _split(data: memoryview) -> tuple[dict[str, str], memoryview]:
    head = bytes(data[:_MAX_HEADER])
    end = head.find(b"\n\n")
    if not head.startswith(b"NRRD") or end < 0:
        raise UnsupportedVolume("This is not an NRRD volume.")
    lines = head[:end].decode("ascii", "replace").split("\n")[1:]
    pairs = (line.split(": ", 1) for line in lines if ": " in line and not line.startswith("#"))
    return {key.lower(): value.strip() for key, value in pairs}, data[end + 2 :]


def _shape(fields: dict[str, str]) -> tuple[int, int, int]:
    try:
        sizes = tuple(int(size) for size in fields["sizes"].split())
    except (KeyError, ValueError):
        sizes = ()
    if len(sizes) != 3:
        raise UnsupportedVolume(f"The volume has {len(sizes)} axes; a single 3D scalar volume is needed.")
    if min(sizes) < 1:
        raise UnsupportedVolume("The volume is empty.")
    return sizes[0], sizes[1], sizes[2]


def _matrix(fields: dict[str, str]) -> Matrix:
    signs = _space_signs(fields.get("space", ""))
    try:
        directions = [_parse_vector(text) for text in fields["space directions"].split()]
        origin = _parse_vector(fields.get("space origin", "(0,0,0)"))
    except (KeyError, ValueError):
        raise UnsupportedVolume("The NRRD header has no readable space directions.") from None
    if len(directions) != 3 or any(len(vector) != 3 for vector in (*directions, origin)):
        raise UnsupportedVolume("The NRRD header has no readable space directions.")
    matrix = list(IDENTITY)
    for row, sign in enumerate(signs):
        for axis, vector in enumerate((*directions, origin)):
            matrix[4 * row + axis] = sign * vector[row]
    return tuple(matrix)  # type: ignore[return-value]


def _space_signs(space: str) -> tuple[float, float, float]:
    known = {
        "right-anterior-superior": (1.0, 1.0, 1.0),
        "ras": (1.0, 1.0, 1.0),
        "left-posterior-superior": (-1.0, -1.0, 1.0),
        "lps": (-1.0, -1.0, 1.0),
        "left-anterior-superior": (-1.0, 1.0, 1.0),
        "las": (-1.0, 1.0, 1.0),
    }
    if space.lower() not in known:
        raise UnsupportedVolume(f"The NRRD space '{space}' is not one of RAS, LPS, LAS.")
    return known[space.lower()]


def _parse_vector(text: str) -> list[float]:
    return [float(number) for number in text.strip("()").split(",")]


def _voxels(fields: dict[str, str], body: memoryview, expected: int) -> bytes | memoryview:
    encoding = fields.get("encoding", "raw").lower()
    if fields.get("endian", "little") != "little":
        raise UnsupportedVolume("Big-endian NRRD volumes are not supported.")
    if encoding in ("gzip", "gz"):
        voxels: bytes | memoryview = _gunzip(body, expected)
    elif encoding == "raw":
        voxels = body
    else:
        raise UnsupportedVolume(f"The NRRD encoding '{encoding}' is not supported.")
    if len(voxels) != expected:
        raise UnsupportedVolume(f"The NRRD has {len(voxels)} bytes of voxels, its header says {expected}.")
    return voxels


def _gunzip(body: memoryview, expected: int) -> bytes:
    """Unpack at most one byte more than expected, so that a bomb cannot fill the memory."""
    try:
        return zlib.decompressobj(wbits=31).decompress(body, expected + 1)
    except zlib.error as error:
        raise UnsupportedVolume("The gzip data of the NRRD is damaged.") from error
