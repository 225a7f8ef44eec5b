"""Left is left on the real CT: its reference labels (made by others) lie where the pictures show them."""

from __future__ import annotations

import io

import nibabel
import numpy as np
import pytest
from PIL import Image

from VILAM3SlicerLib.scene.capture import capture
from VILAM3SlicerLib.scene.modality import guess_modality

LEFT_LUNG, RIGHT_LUNG = (10, 11), (12, 13, 14)
"""TotalSegmentator's lobes in the labelmap that came with the scan."""

STEP = 2


@pytest.fixture(scope="session")
def chest(data_folder):
    scan = data_folder / "chest_ct" / "cxr.nii.gz"
    labels = data_folder / "reference" / "chest_ct_labels.nii.gz"
    if not (scan.exists() and labels.exists()):
        pytest.skip("the sample CT is not there: python3 setup_backend.py test fetches it")
    image, reference = nibabel.load(scan), nibabel.load(labels)
    voxels = np.asarray(image.dataobj)[::STEP, ::STEP, ::STEP].astype(np.int16)
    matrix = image.affine @ np.diag([STEP, STEP, STEP, 1.0])
    return voxels, matrix, np.asarray(reference.dataobj)[::STEP, ::STEP, ::STEP].astype(np.uint8)


@pytest.mark.parametrize("mode", ["as_seen", "published"])
def test_lungs_lie_on_their_sides_of_the_picture(mode, chest, make_volume, make_view, scene):
    voxels, matrix, labels = chest
    node = make_volume(voxels, matrix)
    assert guess_modality(scene, node) == "CT"
    node.GetDisplayNode().AutoWindowLevelOff()
    node.GetDisplayNode().SetWindowLevel(400, 50)
    view = make_view(node, "Axial", (200, 200))
    left, right = np.isin(labels, LEFT_LUNG), np.isin(labels, RIGHT_LUNG)
    middle = np.argwhere(left | right).mean(axis=0)
    view.node.JumpSliceByOffsetting(*(matrix @ [*middle, 1.0])[:3])
    seen = capture(view, mode, "CT")
    pixels = np.asarray(Image.open(io.BytesIO(seen.png)))
    rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    places = np.stack([columns, rows, 0 * rows, 0 * rows + 1]).reshape(4, -1)
    pixel_to_ijk = np.linalg.inv(matrix) @ np.reshape(seen.geometry.pixel_to_ras, (4, 4))
    ijk = np.rint(pixel_to_ijk @ places).astype(int)[:3]
    inside = np.all((ijk >= 0) & (ijk < np.reshape(labels.shape, (3, 1))), axis=0)
    ijk[:, ~inside] = 0
    sides = [(mask[tuple(ijk)] & inside).reshape(pixels.shape) for mask in (left, right)]
    columns_of_left, columns_of_right = (np.argwhere(side)[:, 1].mean() for side in sides)
    assert columns_of_right < pixels.shape[1] / 2 < columns_of_left
    body = (inside.reshape(pixels.shape)) & ~(sides[0] | sides[1])
    lungs_are_dark = pixels[sides[0] | sides[1]].mean() < pixels[body & (pixels > 0)].mean() / 2
    assert lungs_are_dark
