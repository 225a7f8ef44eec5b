"""NRRD bodies against SimpleITK and pynrrd, and what is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import nrrd
import numpy as np
import pytest
import SimpleITK as sitk

from inference_backend.imaging.volume import Volume
from VILAM3SlicerLib.protocol.errors import TooLarge, UnsupportedVolume
from VILAM3SlicerLib.protocol.nrrd import decode_nrrd, encode_nrrd

OBLIQUE = np.array([[0.9, 0.2, -0.4, 11.5], [-0.1, 1.1, 0.3, -7.25], [0.2, -0.2, 2.5, 3.125], [0, 0, 0, 1]])


def make_volume(dtype: str = "int16") -> Volume:
    voxels = np.random.default_rng(1).integers(0, 100, (5, 4, 3)).astype(dtype)
    return Volume(voxels, OBLIQUE)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"]
)
def test_voxels_and_geometry_survive_the_trip(dtype: str, compress: bool) -> None:
    volume = make_volume(dtype)
    back = Volume.from_nrrd(decode_nrrd(encode_nrrd(volume.to_nrrd(), compress)))
    assert back.voxels.dtype == dtype
    assert (back.voxels == volume.voxels).all()
    assert (back.ijk_to_ras == volume.ijk_to_ras).all()
    assert back.content_hash == volume.content_hash


@pytest.mark.parametrize("compress", [False, True])
def test_simpleitk_and_pynrrd_read_what_is_written(tmp_path: Path, compress: bool) -> None:
    volume = make_volume()
    path = tmp_path / "volume.nrrd"
    path.write_bytes(encode_nrrd(volume.to_nrrd(), compress))
    image = sitk.ReadImage(str(path))
    assert (sitk.GetArrayFromImage(image).transpose(2, 1, 0) == volume.voxels).all()
    lps = np.array(image.TransformContinuousIndexToPhysicalPoint((1.5, 2.0, 0.5)))
    # SimpleITK stores axis directions as an orthonormal matrix times spacing, exact for these columns
    assert lps == pytest.approx((np.diag([-1, -1, 1, 1]) @ OBLIQUE @ [1.5, 2.0, 0.5, 1])[:3], abs=1e-9)
    voxels, header = nrrd.read(str(path))
    assert (voxels == volume.voxels).all()
    assert header["space directions"] == pytest.approx(OBLIQUE[:3, :3].T)


@pytest.mark.parametrize("name", ["left-posterior-superior", "LPS", "left-anterior-superior"])
def test_other_spaces_are_read_as_ras(tmp_path: Path, name: str) -> None:
    path = tmp_path / "volume.nrrd"
    header = {"space": name, "space directions": np.eye(3), "space origin": [1, 2, 3], "encoding": "raw"}
    nrrd.write(str(path), np.ones((2, 2, 2), np.int16), header)
    matrix = np.array(decode_nrrd(path.read_bytes()).ijk_to_ras).reshape(4, 4)
    flips = {"left-anterior-superior": [-1, 1, 1, 1]}.get(name, [-1, -1, 1, 1])
    expected = np.diag(flips) @ [[1, 0, 0, 1], [0, 1, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]]
    assert (matrix == expected).all()


def _edited(**lines: str) -> bytes:
    header, body = encode_nrrd(make_volume().to_nrrd()).split(b"\n\n", 1)
    kept = [line for line in header.decode().split("\n") if line.split(":")[0] not in lines]
    added = [f"{name}: {value}" for name, value in lines.items() if value]
    return "\n".join(kept + added).encode() + b"\n\n" + body


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not an NRRD"),
        (b"\x89PNG\r\n\n\n", "not an NRRD"),
        (_edited(sizes="5 4 3 1"), "4 axes"),
        (_edited(sizes="5 4"), "2 axes"),
        (_edited(sizes="5 0 3"), "empty"),
        (_edited(sizes="5 -4 3"), "empty"),
        (_edited(sizes="5 4 4"), "bytes of voxels"),
        (_edited(sizes="many"), "0 axes"),
        (_edited(type="block"), "'block'"),
        (_edited(encoding="ascii"), "'ascii'"),
        (_edited(endian="big"), "Big-endian"),
        (_edited(space="scanner-xyz"), "scanner-xyz"),
        (_edited(**{"space directions": "none"}), "space directions"),
        (_edited(**{"data file": "/etc/passwd"}), "detached"),
        (_edited(encoding="gzip"), "damaged"),
    ],
)
def test_rubbish_is_refused_with_the_reason(data: bytes, says: str) -> None:
    with pytest.raises(UnsupportedVolume, match=says):
        decode_nrrd(data)


def test_more_voxels_than_allowed_are_refused_before_they_are_read() -> None:
    with pytest.raises(TooLarge, match="limit"):
        decode_nrrd(_edited(sizes="100000 100000 1000"))


def test_a_gzip_bomb_is_not_unpacked() -> None:
    header = encode_nrrd(make_volume().to_nrrd(), compress=True).split(b"\n\n", 1)[0]
    bomb = header + b"\n\n" + gzip.compress(bytes(50_000_000))
    with pytest.raises(UnsupportedVolume, match="121 bytes of voxels"):
        decode_nrrd(bomb)
