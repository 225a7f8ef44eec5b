"""A volume is voxels and where they lie; checked against nibabel."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from inference_backend.imaging.volume import Volume
from VILAM3SlicerLib.protocol.errors import UnsupportedVolume

OBLIQUE = np.array([[0.9, 0.2, -0.4, 11.5], [-0.1, 1.1, 0.3, -7.25], [0.2, -0.2, 2.5, 3.125], [0, 0, 0, 1]])


def test_spacing_and_voxel_size_of_an_oblique_volume_equal_nibabel() -> None:
    volume = Volume(np.zeros((3, 4, 5), np.int16), OBLIQUE)
    assert volume.spacing == pytest.approx(nibabel.affines.voxel_sizes(OBLIQUE))
    assert volume.voxel_ml * 1000 == pytest.approx(abs(np.linalg.det(OBLIQUE[:3, :3])))


def test_ras_to_ijk_undoes_ijk_to_ras() -> None:
    volume = Volume(np.zeros((3, 4, 5), np.int16), OBLIQUE)
    assert volume.ras_to_ijk @ volume.ijk_to_ras == pytest.approx(np.eye(4))


@pytest.mark.parametrize(
    ("shape", "matrix", "says"),
    [
        ((3, 4), np.eye(4), "single 3D"),
        ((3, 4, 5, 2), np.eye(4), "single 3D"),
        ((3, 0, 5), np.eye(4), "single 3D"),
        ((3, 4, 5), np.eye(3), "4x4"),
        ((3, 4, 5), np.full((4, 4), np.nan), "4x4"),
        ((3, 4, 5), np.diag([1.0, 0, 1, 1]), "flat"),
    ],
)
def test_what_is_no_volume_is_refused(shape: tuple[int, ...], matrix: np.ndarray, says: str) -> None:
    with pytest.raises(UnsupportedVolume, match=says):
        Volume(np.zeros(shape), matrix)
