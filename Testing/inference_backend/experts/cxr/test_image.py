"""Radiographs of any storage and bit depth, against TorchXRayVision's rule; and what is none."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
import pytest

from inference_backend.experts.cxr.image import read_radiograph
from inference_backend.imaging.volume import Volume
from Testing.inference_backend.experts.storage import ORDERS, stored_as
from VILAM3SlicerLib.protocol.errors import ExpertError

SHOWN = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Columns to the patient's left, rows to the back: how a radiograph without geometry is loaded."""

FRONTAL = np.array([[-0.2, 0, 0, 5], [0, 0, 0.2, 6], [0, -0.2, 0, 7], [0, 0, 0, 1.0]])
"""Columns to the left, rows to the feet, 0.2 mm."""


@pytest.fixture(scope="module")
def image() -> Volume:
    pixels = np.random.default_rng(1).integers(0, 255, (120, 100, 1)).astype(np.uint8)
    return Volume(pixels, SHOWN)


def normalised(stored: npt.NDArray[np.integer], bits: int, is_monochrome1: bool) -> npt.NDArray[np.float32]:
    """torchxrayvision 1.5.7, ``read_xray_dcm`` and ``normalize``, in its own order of steps and types."""
    highest = 2**bits - 1
    data = highest - stored if is_monochrome1 else stored
    return np.asarray((2 * (data.astype(np.float32) / highest) - 1.0) * 1024)


@pytest.mark.parametrize("bits", [8, 10, 12, 15, 16])
@pytest.mark.parametrize("is_monochrome1", [False, True])
def test_pixels_are_scaled_as_the_library_scales_dicom(bits: int, is_monochrome1: bool) -> None:
    stored = np.random.default_rng(bits).integers(0, 2 ** (bits - 1), (70, 70)).astype(np.uint16)
    read = 2**bits - 1 - stored if is_monochrome1 else stored  # as ITK hands it over
    told = read_radiograph(Volume(read.T[:, :, None], SHOWN), "CXR", (0.0, 2.0**bits - 1)).pixels
    np.testing.assert_allclose(told, normalised(stored, bits, is_monochrome1), atol=0.001)


@pytest.mark.parametrize("bits", [8, 10, 12, 15, 16])
def test_untold_bits_are_the_fewest_that_hold_the_brightest_pixel(bits: int) -> None:
    stored = np.random.default_rng(bits).integers(0, 2**bits, (70, 70)).astype(np.int32)
    stored[0, 0] = 2**bits - 2
    found = read_radiograph(Volume(stored.T[:, :, None], SHOWN)).pixels
    np.testing.assert_allclose(found, normalised(stored, bits, is_monochrome1=False), atol=0.001)


def test_eight_bits_are_scaled_by_255_however_dark(image: Volume) -> None:
    dark = read_radiograph(image.with_voxels(image.voxels // 4)).pixels
    assert dark.max() < -500


@pytest.mark.parametrize(
    ("dtype", "shift", "told"),
    [
        (np.int16, -100, None),
        (np.float32, 0.5, None),
        (np.int16, 0, (0.0, 100.0)),
        (np.int16, 0, (50.0, 400.0)),
    ],
)
def test_values_beyond_the_range_that_is_told_are_never_cut_off(
    image: Volume, dtype: type, shift: float, told: tuple[float, float] | None
) -> None:
    found = read_radiograph(
        image.with_voxels((image.voxels.astype(float) + shift).astype(dtype)), "CXR", told
    ).pixels
    assert -1024.001 <= found.min() < found.max() <= 1024.001
    assert len(np.unique(found)) == len(np.unique(image.voxels[10:110]))


@pytest.mark.parametrize("matrix", [SHOWN, FRONTAL])
@pytest.mark.parametrize(("order", "flipped"), ORDERS)
def test_storage_does_not_turn_the_image(
    image: Volume, matrix: npt.NDArray[np.float64], order: tuple[int, int, int], flipped: tuple[int, ...]
) -> None:
    shown = Volume(image.voxels, matrix)
    found, expected = read_radiograph(stored_as(shown, order, flipped)), read_radiograph(shown)
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    np.testing.assert_allclose(
        found.pixel_to_ras[:, [0, 1, 3]], expected.pixel_to_ras[:, [0, 1, 3]], atol=1e-9
    )


@pytest.mark.parametrize("matrix", [SHOWN, FRONTAL])
def test_rows_run_from_the_top_and_the_square_lies_in_the_middle(
    image: Volume, matrix: npt.NDArray[np.float64]
) -> None:
    square = read_radiograph(Volume(image.voxels, matrix))
    assert square.pixels.shape == (100, 100)
    expected = (image.voxels[10:110, :, 0].T / 255.0 * 2 - 1) * 1024
    np.testing.assert_allclose(square.pixels, expected, atol=1e-3)
    for column, row in ((0, 0), (99, 0), (17, 63)):
        np.testing.assert_allclose(
            square.pixel_to_ras @ (column, row, 0, 1), matrix @ (column + 10, row, 0, 1)
        )


@pytest.mark.parametrize(
    ("voxels", "modality", "reason"),
    [
        (np.zeros((80, 80, 5), np.int16), "CT", "CT, not a chest X-ray"),
        (np.arange(6400.0).reshape(80, 80, 1), "MRI", "MRI, not a chest X-ray"),
        (np.zeros((80, 90, 5), np.int16), "Unknown", "a volume of 80x90x5 voxels"),
        (np.full((80, 80, 1), 7), "CXR", "all pixels are alike"),
        (np.ones((20, 80, 1)), "CXR", "only 20x80 pixels"),
        (np.ones((1, 1, 1)), "CXR", "only 1x1x1 pixels"),
        (np.ones((1, 90, 1)), "CXR", "only 1x90x1 pixels"),
        (np.full((80, 80, 1), np.nan), "CXR", "not numbers"),
        (np.where(np.arange(6400.0) == 3, np.inf, 1).reshape(80, 80, 1), "CXR", "not numbers"),
        (np.ones((80, 80, 1), complex), "CXR", "no plain numbers"),
    ],
)
def test_what_is_no_radiograph_is_refused_with_its_reason(
    voxels: npt.NDArray[np.generic], modality: str, reason: str
) -> None:
    with pytest.raises(ExpertError, match=reason) as error:
        read_radiograph(Volume(voxels, SHOWN), modality)
    assert error.value.hint


def test_a_huge_image_is_read_at_once() -> None:
    voxels = np.zeros((10_000, 10_000, 1), np.uint16, order="F")
    voxels[4000:6000, 4000:6000] = 4000
    started = time.process_time()
    assert read_radiograph(Volume(voxels, SHOWN), "CXR").pixels.shape == (10_000, 10_000)
    assert time.process_time() - started < 3
