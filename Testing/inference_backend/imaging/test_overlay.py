"""The overlay that the model is shown, against what the published code drew."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from inference_backend.imaging.overlay import COLOUR_NAMES, colours_for, draw_overlay, sample_labels
from inference_backend.imaging.volume import Volume
from VILAM3SlicerLib.protocol.errors import InvalidRequest
from VILAM3SlicerLib.protocol.messages import ViewGeometry

CASES = [f"{axes}_{kind}_{k}" for axes in ("RAS", "LPS", "PIR") for kind in ("CT", "MRI") for k in (3, 6)]


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def pixels_of(image: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(image)))


def published_view(affine: np.ndarray, voxels: np.ndarray, index: int) -> ViewGeometry:
    """Anterior up, patient right on the left, the whole axial slice, as nibabel's reorientation has it."""
    turned = nibabel.as_closest_canonical(nibabel.Nifti1Image(voxels, affine))
    right, anterior, _ = turned.shape
    pixel_to_ijk = np.array([[-1, 0, 0, right - 1], [0, -1, 0, anterior - 1], [0, 0, 1, index], [0, 0, 0, 1]])
    matrix = tuple((turned.affine @ pixel_to_ijk).ravel().tolist())
    return ViewGeometry("published", "axial", right, anterior, matrix, 400, 50)


@pytest.fixture(scope="module")
def slices(golden: Path) -> dict[str, Any]:
    return {
        "volumes": np.load(golden / "slices" / "volumes.npz"),
        "slices": np.load(golden / "slices" / "slices.npz"),
        "told": json.loads((golden / "slices" / "slices.json").read_text()),
    }


@pytest.mark.parametrize("case", CASES)
def test_overlay_equals_the_published_one(case: str, slices: dict[str, Any]) -> None:
    axes, kind, index = case.split("_")
    affine = slices["volumes"][f"affine_{axes}"]
    labelmap = Volume(slices["volumes"]["label" if kind == "CT" else "brats"], affine)
    labels = sample_labels(labelmap, published_view(affine, labelmap.voxels, int(index)))
    image, coloured = draw_overlay(png(slices["slices"][f"{case}_image"]), labels)
    np.testing.assert_array_equal(pixels_of(image), slices["slices"][f"{case}_overlay"])
    assert {str(label.label): label.colour for label in coloured} == slices["told"][case]["colormap"]


def test_pixels_outside_the_volume_are_not_painted() -> None:
    labelmap = Volume(np.ones((4, 4, 4), np.uint8), np.eye(4))
    shifted = (1.0, 0, 0, -2.0, 0, 1.0, 0, 2.0, 0, 0, 1.0, 1.0, 0, 0, 0, 1.0)
    labels = sample_labels(labelmap, ViewGeometry("as_seen", "axial", 8, 3, shifted, 400, 50))
    np.testing.assert_array_equal(labels[:2], [[0, 0, 1, 1, 1, 1, 0, 0]] * 2)
    assert not labels[2].any()


def test_colours_start_again_after_the_last() -> None:
    coloured = colours_for(np.arange(20))
    assert [label.colour for label in coloured[:2]] == ["red", "blue"]
    assert [label.colour for label in coloured[16:]] == list(COLOUR_NAMES[:3])
    assert coloured[0].rgb == (1.0, 0.0, 0.0)


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="5x4 pixels"):
        draw_overlay(png(np.zeros((4, 5), np.uint8)), np.zeros((5, 4), np.uint8))


def test_a_broken_image_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="cannot be read"):
        draw_overlay(b"not an image", np.zeros((5, 4), np.uint8))
