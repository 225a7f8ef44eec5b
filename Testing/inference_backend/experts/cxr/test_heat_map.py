"""Heat maps of random networks, against MONAI's own map of the whole network and the map's own sum."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from monai.visualize import CAM

from inference_backend.experts.cxr.ensemble import FINDINGS, MEMBERS, RESNET, Ensemble, empty_network, member
from inference_backend.experts.cxr.expert import Cxr
from inference_backend.experts.cxr.heat_map import activation_maps, pixels_of_map, shown
from inference_backend.experts.feedback import feedback
from inference_backend.experts.interface import ExpertRequest
from inference_backend.experts.weights import WeightsAt
from inference_backend.imaging.volume import Volume

LAYERS = {MEMBERS[0]: ("class_layers.relu", "class_layers.out"), RESNET: ("layer4", "fc")}


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    torch.manual_seed(5)
    return Ensemble([member(name, empty_network(name).eval()) for name in LAYERS], "cpu")


@pytest.fixture(scope="module")
def image() -> Volume:
    """A bright spot at column 80, row 20 of 120 columns and 100 rows; the square begins at column 10."""
    pixels = np.zeros((120, 100, 1), np.uint16)
    pixels[75:86, 15:26] = 4000
    return Volume(pixels, np.diag([-0.5, -0.5, 1.0, 1.0]))


@pytest.mark.parametrize("name", LAYERS)
def test_all_maps_of_one_run_are_those_of_the_library(ensemble: Ensemble, name: str) -> None:
    network = ensemble.members[list(LAYERS).index(name)]
    picture = torch.rand(1, 1, 96, 96, generator=torch.Generator().manual_seed(1)) * 2048 - 1024
    with torch.no_grad():
        raw = activation_maps(network, network.look(picture)[1], [0, 5, 17])
    last, out = LAYERS[name]
    library = CAM(
        network.network, last, out, upsampler=lambda size: lambda map_: map_, postprocessing=lambda map_: map_
    )
    with torch.no_grad():
        bias = network.network.get_submodule(out).bias
        for place, one in zip((0, 5, 17), raw, strict=True):
            np.testing.assert_allclose(
                one,
                (library(picture, class_idx=[place]) - bias[place])[0, 0],
                rtol=0,
                atol=1e-5 * float(np.abs(one).max()),
            )
            output = network.network(picture)[0, place].item()
            assert one.mean() + bias[place].item() == pytest.approx(
                output, abs=1e-5 * float(np.abs(one).max())
            )


def test_a_map_lies_where_its_pixels_were(image: Volume) -> None:
    """The network stands still: its map is the picture of the spot, made coarse."""
    square_to_ras = image.ijk_to_ras @ np.array([[1, 0, 0, 10], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    coarse = image.voxels[10:110, :, 0].T.astype(float).reshape(10, 10, 10, 10).mean((1, 3))
    strength = shown(coarse.astype(np.float32))
    assert strength is not None
    assert strength.max() == 1
    assert strength.min() == 0
    matrix = pixels_of_map(square_to_ras, 100, len(strength))
    rows, columns = np.mgrid[: len(strength), : len(strength)]
    middle = [float((strength * places).sum() / strength.sum()) for places in (columns, rows)]
    np.testing.assert_allclose(
        (matrix @ (*middle, 0, 1))[:2], (image.ijk_to_ras @ (80, 20, 0, 1))[:2], atol=0.3
    )
    corner = matrix @ (-0.5, -0.5, 0, 1)
    np.testing.assert_allclose(corner, image.ijk_to_ras @ (9.5, -0.5, 0, 1))


def test_nothing_in_favour_is_no_map() -> None:
    assert shown(np.full((7, 7), -0.25, np.float32)) is None


def test_findings_come_with_their_maps(ensemble: Ensemble, image: Volume) -> None:
    cxr = Cxr(WeightsAt(Path()), load_models=lambda folder, device: ensemble)
    cxr.load("cpu")
    found = cxr.run(ExpertRequest("", image), lambda fraction, words: None, lambda: False)
    sources = {heat.finding: heat.source for heat in found.heat_maps}
    assert len(sources) > len(FINDINGS) / 2
    assert sources.get("pneumothorax", RESNET) == RESNET
    assert {source for finding, source in sources.items() if finding != "pneumothorax"} == {MEMBERS[0]}
    told = feedback(found, [], tells_sizes=False)
    assert {one.finding for one in told.heat_maps} == set(sources)
    assert told.image is None
    assert "<image>" not in told.text
    for one in told.heat_maps:
        assert one.image.startswith(b"\x89PNG")
        assert one.rows == one.columns
        assert len(one.pixel_to_ras) == 16
