"""The name of a volume covers all that makes it another volume."""

from __future__ import annotations

import numpy as np
import pytest

from inference_backend.imaging.volume import Volume
from VILAM3SlicerLib.protocol.content_hash import volume_hash

VOXELS = np.arange(24, dtype=np.int16).reshape(2, 3, 4)


def test_pieces_of_any_size_give_the_same_name() -> None:
    data = VOXELS.tobytes(order="F")
    whole = volume_hash("int16", (2, 3, 4), np.eye(4).ravel().tolist(), [data])
    pieces = volume_hash("int16", (2, 3, 4), np.eye(4).ravel().tolist(), [data[:7], data[7:8], data[8:]])
    assert whole == pieces == Volume(VOXELS, np.eye(4)).content_hash


def test_memory_layout_does_not_matter() -> None:
    name = Volume(VOXELS, np.eye(4)).content_hash
    assert Volume(np.asfortranarray(VOXELS), np.eye(4)).content_hash == name
    assert Volume(VOXELS.astype(">i2"), np.eye(4)).content_hash == name
    assert Volume(np.repeat(VOXELS, 2, axis=1)[:, ::2], np.eye(4)).content_hash == name


@pytest.mark.parametrize(
    "other",
    [
        Volume(VOXELS[::-1], np.eye(4)),
        Volume(VOXELS, np.diag([-1.0, 1, 1, 1])),
        Volume(VOXELS.astype(np.int32), np.eye(4)),
        Volume(VOXELS.reshape(2, 4, 3), np.eye(4)),
        Volume(VOXELS + np.int16(1), np.eye(4)),
    ],
    ids=["flipped voxels", "flipped geometry", "type", "shape", "values"],
)
def test_another_volume_has_another_name(other: Volume) -> None:
    assert other.content_hash != Volume(VOXELS, np.eye(4)).content_hash


def test_the_sign_of_zero_does_not_matter() -> None:
    negative = np.eye(4)
    negative[0, 3] = -0.0
    assert Volume(VOXELS, negative).content_hash == Volume(VOXELS, np.eye(4)).content_hash
