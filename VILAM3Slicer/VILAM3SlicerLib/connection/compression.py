"""Raw NRRD to gzip NRRD on the way out, for connections that are slower than zlib."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

_GZIP = 31
"""zlib's window bits for a gzip container."""
_AT_ONCE = 1024**2
"""Bytes, about 20 ms of compression."""


def gzipped_nrrd(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """The same volume with gzip encoding. The first piece must be the header of a raw NRRD."""
    remaining = iter(pieces)
    header = bytes(next(remaining))
    yield header.replace(b"\nencoding: raw\n", b"\nencoding: gzip\n", 1)
    packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
    for piece in remaining:
        view = memoryview(piece).cast("B")
        for start in range(0, len(view), _AT_ONCE):
            yield packer.compress(view[start : start + _AT_ONCE])
    yield packer.flush()
