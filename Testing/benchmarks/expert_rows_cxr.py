"""The chest X-ray expert next to the published way: time, memory, and how far the probabilities lie apart.

The published demo loads all eight models for each reply and shows each the picture by itself; here they are
loaded once. Without released weights the networks have random ones of the released size: time and memory
are the real ones. The picture is the radiograph of the tests, 1955x1841.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
import torch
from torch.nn.functional import interpolate

from inference_backend.experts.cxr.ensemble import (
    FINDINGS,
    MEMBERS,
    Ensemble,
    as_monai_names,
    converted_file,
    empty_network,
    member,
)
from inference_backend.experts.cxr.expert import Cxr
from inference_backend.experts.interface import ExpertRequest
from inference_backend.experts.state_dict import read_state_dict
from inference_backend.experts.weights import WeightsAt
from inference_backend.imaging.volume import Volume
from Testing.benchmarks.expert_table import Measured, Options, Row, measured
from Testing.inference_backend.experts.cxr.released import write_converted

BITS = 15
"""Of the radiograph of the tests."""


def radiograph(data: Path) -> Volume:
    """The radiograph of the tests, bright is high."""
    image = SimpleITK.ReadImage(str(data / "radiograph" / "RG1_UNCR.dcm"))
    return Volume(SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0), np.diag([-1.0, -1.0, 1.0, 1.0]))


def ours(expert: Cxr, volume: Volume) -> Any:
    """The probabilities of the published vote, in the order of the names; heat maps are made too."""
    request = ExpertRequest("", volume, modality="CXR", stored_range=(0.0, 2.0**BITS - 1))
    found = expert.run(request, lambda fraction, words: None, lambda: False)
    return np.array([finding.probability for finding in found.findings])


def the_published(folder: Path, volume: Volume, device: str) -> Any:
    """One model after the other: read, shown the picture, forgotten; then the published vote."""
    stored = volume.voxels[:, :, 0].T.astype(np.float32)
    top = stored.shape[0] // 2 - stored.shape[1] // 2
    scaled = (2 * (stored[top : top + stored.shape[1]] / (2**BITS - 1)) - 1.0) * 1024
    outputs = {}
    for name in MEMBERS:
        network = empty_network(name)
        network.load_state_dict(as_monai_names(read_state_dict(folder / converted_file(name))))
        one = member(name, network.to(device).eval())
        picture = torch.from_numpy(scaled)[None, None].to(device)
        size = (one.resolution, one.resolution)
        with torch.no_grad():
            outputs[name] = one.probabilities(
                interpolate(picture, size=size, mode="bilinear", antialias=True)
            )
    vote = Ensemble([member(name, None) for name in MEMBERS], device).vote(outputs, as_published=True)
    return np.array([vote[name] for name in sorted(FINDINGS)])


def compare(device: str, data: Path, weights: Path | None = None) -> tuple[Measured, Measured]:
    """The expert with its models loaded, then the published way; ``labels`` are the 18 probabilities."""
    volume = radiograph(data)
    with tempfile.TemporaryDirectory() as temporary:
        folder = weights or write_converted(Path(temporary) / "CXR")
        expert = Cxr(WeightsAt(folder), as_published=True)
        expert.load(device)
        fast = measured(device, _warm(device, lambda: ours(expert, volume)))
        peer = measured(device, lambda: the_published(folder, volume, device))
    return fast, peer


def _warm(device: str, work: Callable[[], Any]) -> Callable[[], Any]:
    """On a CPU the first run imports MONAI; ``measured`` warms up a GPU itself."""
    if not device.startswith("cuda"):
        work()
    return work


def rows(options: Options) -> list[Row]:
    """One line; the probabilities count as the same where they differ by less than 1e-4."""
    fast, peer = compare(options.device, options.data, options.weights.get("CXR"))
    same = float(np.mean(np.abs(fast.labels - peer.labels) < 1e-4))
    return [
        Row("CXR", "18 findings, 1955x1841", fast, peer_name="the demo's way", peer=peer, same=same),
    ]
