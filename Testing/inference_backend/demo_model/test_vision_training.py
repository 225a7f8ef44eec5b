"""Pictures of scans are cut the right way round, and what is trained on them can be learned."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from inference_backend.demo_model.training.slices import IMAGE_SIZE, LabelledImage, draw_images
from inference_backend.demo_model.training.sources import SOURCES, Scan, ScanSource
from inference_backend.demo_model.training.train_vision import score_vision_tower, train_vision_tower
from inference_backend.demo_model.training.two_cores import TwoCores


@pytest.fixture
def scan() -> Scan:
    """An ellipsoid of water in air with a block of bone at the right, front and top."""
    grid = np.mgrid[:60, :50, :40].astype(np.float32)
    centred = [(axis - length / 2) / (length / 2) for axis, length in zip(grid, (60, 50, 40), strict=True)]
    voxels = np.where(sum(axis**2 for axis in centred) < 0.9, 0.0, -1000.0).astype(np.float32)
    voxels[36:48, 30:40, 24:32] = 1500.0  # index grows towards right, front, top
    regions = ((0.5, "abdomen"), (1.0, "chest"))
    return Scan(ScanSource("a block", "", "CT", ("axial", "coronal"), regions), voxels, (3.0, 3.0, 3.0))  # type: ignore[arg-type]


@pytest.mark.parametrize("plane", ["axial", "coronal"])
def test_the_patients_right_is_on_image_left_and_front_or_top_above(scan: Scan, plane: str) -> None:
    images = draw_images([scan], 300, np.random.default_rng(0), augment=False)
    brightest = [image.pixels.astype(float) for image in images if image.plane == plane and has_block(image)]
    assert brightest
    rows, columns = np.unravel_index(np.mean(brightest, axis=0).argmax(), (IMAGE_SIZE, IMAGE_SIZE))
    assert rows < IMAGE_SIZE / 2
    assert columns < IMAGE_SIZE / 2


def has_block(image: LabelledImage) -> bool:
    """Whether bone stands out from water."""
    return bool(image.pixels.max() > 1.5 * max(int(np.median(image.pixels[100:124, 100:124])), 1))


def test_the_region_follows_the_height_of_an_axial_slice(scan: Scan) -> None:
    images = draw_images([scan], 200, np.random.default_rng(1), augment=True)
    assert {image.region for image in images if image.plane == "axial"} == {"abdomen", "chest"}
    assert {image.pixels.shape for image in images} == {(IMAGE_SIZE, IMAGE_SIZE)}


def test_no_scan_is_both_trained_on_and_scored_on() -> None:
    trained = {source.path for source in SOURCES if not source.held_out}
    assert not trained & {source.path for source in SOURCES if source.held_out}
    assert {source.modality for source in SOURCES if source.held_out} == {"CT", "MRI", "CXR"}


def test_gradients_of_two_halves_are_those_of_the_whole() -> None:
    torch.manual_seed(0)
    layer, unused = nn.Linear(5, 1), nn.Linear(2, 2)
    halves = torch.randn(2, 8, 5)
    trained = [*layer.parameters(), *unused.parameters()]
    with TwoCores(trained) as cores:
        mean = cores.set_mean_gradients(
            [partial(lambda half: layer(half).pow(2).mean(), half) for half in halves]
        )
    whole = layer(halves).pow(2).mean()
    expected = torch.autograd.grad(whole, list(layer.parameters()))
    assert mean == pytest.approx(whole.item())
    for parameter, gradient in zip(layer.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
    assert unused.weight.grad is None


def test_the_tower_learns_to_tell_a_dark_from_a_bright_side() -> None:
    ramp = np.tile(np.linspace(0, 255, IMAGE_SIZE).astype(np.uint8), (IMAGE_SIZE, 1))
    kinds = [("CT", "axial", "chest", ramp), ("MRI", "coronal", "head", np.ascontiguousarray(ramp[:, ::-1]))]
    images = [LabelledImage(pixels, *labels, scan="ramp") for *labels, pixels in kinds for _ in range(32)]
    score = score_vision_tower(train_vision_tower(images, 8, 0, lambda text: None), images)
    assert score.accuracy == {"modality": 1.0, "plane": 1.0, "region": 1.0}
