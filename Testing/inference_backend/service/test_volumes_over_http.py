"""Volumes, images and results: refused, interrupted, at once, in use, and a full disk."""

from __future__ import annotations

import errno
import gzip
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from inference_backend.imaging.volume import Volume
from inference_backend.service import routes_store
from inference_backend.store.store import StoreLimits, read_volume, write_labelmap
from Testing.inference_backend.service.running import KEY, RunningService, a_volume, error_of, running
from VILAM3SlicerLib.protocol.errors import OutOfSpace
from VILAM3SlicerLib.protocol.nrrd import decode_nrrd, encode_nrrd, nrrd_header


def files_of(service: RunningService, kind: str = "volumes") -> list[Path]:
    return list((service.folder / kind).iterdir())


@pytest.mark.parametrize("compress", [False, True])
def test_a_volume_arrives_once_and_is_kept_uncompressed(service: RunningService, compress: bool) -> None:
    volume = a_volume(seed=1 + compress)
    path = f"/v1/volumes/{volume.content_hash}"
    assert service.http.head(path).status_code == 404
    assert service.put(volume, compress=compress).status_code == 201
    assert service.put(volume, compress=not compress).status_code == 200
    assert service.http.head(path).status_code == 200
    kept = service.store.volumes.path(volume.content_hash)
    assert kept.read_bytes() == encode_nrrd(volume.to_nrrd())
    assert read_volume(kept).content_hash == volume.content_hash
    assert service.http.delete(path).status_code == 204
    assert service.http.head(path).status_code == 404
    assert error_of(service.http.delete(path)) == (404, "volume_unknown")


def test_what_is_not_the_volume_that_it_says_is_refused_and_leaves_nothing(service: RunningService) -> None:
    volume = a_volume(3)
    path = f"/v1/volumes/{volume.content_hash}"
    good = encode_nrrd(volume.to_nrrd())
    packed = encode_nrrd(volume.to_nrrd(), compress=True)
    flipped = Volume(volume.voxels[::-1], volume.ijk_to_ras)
    bomb = nrrd_header("uint8", (10, 10, 10), volume.to_nrrd().ijk_to_ras, "gzip") + gzip.compress(
        bytes(10**8)
    )
    huge = nrrd_header("uint8", (10**5, 10**5, 10**5), volume.to_nrrd().ijk_to_ras, "gzip")
    refused = {
        b"": "unsupported_volume",
        b"GIF89a": "unsupported_volume",
        good[:-1]: "unsupported_volume",
        good + b"x": "unsupported_volume",
        packed[:-30]: "unsupported_volume",
        packed[:-100] + bytes(100): "unsupported_volume",
        bomb: "unsupported_volume",
        huge: "too_large",
        good.replace(b"dimension: 3", b"dimension: 4").replace(
            b"sizes: ", b"sizes: 2 "
        ): "unsupported_volume",
        good.replace(b"space directions: (", b"space directions: (nan"): "unsupported_volume",
        good[:-1] + bytes([good[-1] ^ 1]): "hash_mismatch",
        encode_nrrd(flipped.to_nrrd()): "hash_mismatch",
    }
    for content, code in refused.items():
        assert error_of(service.http.put(path, content=content))[1] == code, content[:200]
    assert service.http.head(path).status_code == 404
    assert not [file for file in files_of(service) if file.name.endswith(".partial")]
    assert service.put(volume).status_code == 201


@pytest.mark.parametrize(
    "name",
    [
        "..%2f..%2fkey",
        "%2e%2e%2fkey",
        "key",
        "0" * 63,
        "0" * 65,
        "G" * 64,
        "0" * 64 + "%00",
        "%0a" + "0" * 64,
    ],
)
@pytest.mark.parametrize("kind", ["volumes", "images", "results"])
def test_names_that_are_no_ids_are_never_paths(service: RunningService, kind: str, name: str) -> None:
    (service.folder / "key").write_text("not for others")
    method = "PUT" if kind == "volumes" else "GET"
    response = service.http.request(method, f"/v1/{kind}/{name}", content=b"x" if method == "PUT" else None)
    assert error_of(response)[0] in (404, 405, 422)
    assert (service.folder / "key").read_text() == "not for others"


def test_an_interrupted_upload_leaves_nothing(service: RunningService) -> None:
    volume = a_volume(4)
    content = encode_nrrd(volume.to_nrrd())
    with socket.create_connection(("127.0.0.1", int(service.url.rsplit(":", 1)[1]))) as link:
        head = f"PUT /v1/volumes/{volume.content_hash} HTTP/1.1\r\nHost: localhost\r\n"
        key = f"Authorization: Bearer {KEY}\r\nContent-Length: {len(content)}\r\n\r\n"
        link.sendall((head + key).encode() + content[: len(content) // 2])
        time.sleep(0.2)
    end = time.monotonic() + 5
    while [file for file in files_of(service) if file.name.endswith(".partial")]:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert service.put(volume).status_code == 201


def test_several_sessions_may_send_the_same_volume_at_once(service: RunningService) -> None:
    volume = Volume(np.random.default_rng(5).integers(0, 99, (64, 64, 64)).astype(np.int16), np.eye(4))
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: service.put(volume).status_code, range(6)))
    assert answers.count(201) == 1
    assert set(answers) == {200, 201}
    assert read_volume(service.store.volumes.path(volume.content_hash)).content_hash == volume.content_hash


def test_the_least_recently_used_volume_gives_way_but_never_one_in_use(tmp_path: Path) -> None:
    volumes = [a_volume(seed) for seed in range(4)]
    size = len(encode_nrrd(volumes[0].to_nrrd()))
    with running(tmp_path, store=StoreLimits(volumes=size * 5 // 2, one_volume=size)) as service:
        first, second, third, fourth = volumes
        for volume in (first, second):
            assert service.put(volume).status_code == 201
        with service.store.volumes.using(first.content_hash):
            assert error_of(service.http.delete(f"/v1/volumes/{first.content_hash}")) == (409, "in_use")
            assert service.put(third).status_code == 201
            assert [volume.content_hash in service.store.volumes for volume in volumes] == [
                True,
                False,
                True,
                False,
            ]
            with service.store.volumes.using(third.content_hash):
                assert error_of(service.put(fourth)) == (507, "out_of_space")
        assert service.put(fourth).status_code == 201


def test_a_full_disk_is_told_and_nothing_is_lost(
    service: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, other = a_volume(10), a_volume(11)
    assert service.put(kept).status_code == 201

    async def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(routes_store, "_write", full)
        response = service.put(other)
    assert error_of(response) == (507, "out_of_space")
    assert "disk is full" in response.json()["error"]["message"]
    assert service.http.head(f"/v1/volumes/{kept.content_hash}").status_code == 200
    assert service.put(other).status_code == 201


def test_a_full_disk_while_an_image_is_kept(service: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutOfSpace):
        service.store.keep(b"an image that is not here yet")


def test_a_result_is_given_as_a_labelmap_and_deleted_on_demand(service: RunningService) -> None:
    labelmap = Volume(np.arange(210, dtype=np.uint8).reshape(5, 6, 7), a_volume().ijk_to_ras)
    with service.store.results.incoming() as incoming:
        write_labelmap(incoming, labelmap)
        result_id = service.store.keep_result(incoming)
    response = service.http.get(f"/v1/results/{result_id}")
    assert b"encoding: gzip" in response.content[:400]
    received = Volume.from_nrrd(decode_nrrd(response.content))
    np.testing.assert_array_equal(received.voxels, labelmap.voxels)
    np.testing.assert_array_equal(received.ijk_to_ras, labelmap.ijk_to_ras)
    assert service.http.delete(f"/v1/results/{result_id}").status_code == 204
    assert error_of(service.http.get(f"/v1/results/{result_id}")) == (404, "result_unknown")


def test_a_question_about_a_volume_that_is_not_here_is_refused_at_once(service: RunningService) -> None:
    response = service.http.post("/v1/chat/completions", json=service.ask("Hello", volume="0" * 64))
    assert error_of(response) == (404, "volume_unknown")
    traversal = service.http.post("/v1/chat/completions", json=service.ask("Hello", volume="../key"))
    assert error_of(traversal)[0] == 422
