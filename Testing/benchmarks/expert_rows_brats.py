"""BraTS on a whole brain in four sequences next to the bundle's own steps: time, device memory, agreement.

Without released weights the network has random ones of the released size (4.7 million parameters, windows of
240x240x160): time and memory are the real ones. The brain is simulated from tissue maps in the size of the
BraTS data, 240x240x155 at 1 mm; a quick run takes a small network and a part of it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inference_backend.experts.brats.expert import Brats
from inference_backend.experts.brats.study import read_study
from inference_backend.experts.bundle_config import BundleConfig
from inference_backend.experts.interface import ExpertRequest, SequenceVolume
from inference_backend.experts.precision import half_precision
from inference_backend.experts.state_dict import fill, read_state_dict
from inference_backend.experts.weights import WeightsAt
from inference_backend.imaging.volume import Volume
from Testing.benchmarks.expert_table import Measured, Options, Row, measured
from Testing.inference_backend.experts.brats.bundle import INFERENCE, write_bundle
from Testing.inference_backend.experts.brats.simulated_study import simulated, tissue_maps
from VILAM3SlicerLib.protocol.mri_sequences import ROLES

RELEASED: dict[str, Any] = {
    "network_def": {
        **INFERENCE["network_def"],
        "blocks_down": [1, 2, 2, 4],
        "blocks_up": [1, 1, 1],
        "init_filters": 16,
    },
    "inferer": {**INFERENCE["inferer"], "roi_size": [240, 240, 160]},
}
"""What differs from the small bundle of the tests."""

BRATS_SHAPE = (240, 240, 155)


def brain(data: Path, quick: bool) -> list[SequenceVolume]:
    """A simulated study with a tumour, in the size of the BraTS data, or a part of it."""
    volumes = simulated(tissue_maps(data / "brain_tissue"), tumour_at=(50, 90, 80))
    if quick:
        volumes = [volume.with_voxels(volume.voxels[28:72, 66:114, 62:98]) for volume in volumes]
    else:
        volumes = [_framed(volume) for volume in volumes]
    return [SequenceVolume("", role, volume) for role, volume in zip(ROLES, volumes, strict=True)]


def _framed(volume: Volume) -> Volume:
    """With zeros around it, as the BraTS data have; cut where it is larger."""
    cut = volume.voxels[tuple(slice(0, size) for size in BRATS_SHAPE)]
    around = [(0, size - count) for size, count in zip(BRATS_SHAPE, cut.shape, strict=True)]
    return volume.with_voxels(np.asfortranarray(np.pad(cut, around)))


def ours(expert: Brats, study: list[SequenceVolume]) -> Any:
    """Labels on the grid of T1c."""
    request = ExpertRequest("", study[0].volume, sequences=tuple(study))
    return expert.run(request, lambda fraction, words: None, lambda: False).labelmap.voxels


def the_bundles(folder: Path, study: list[SequenceVolume], device: str) -> Any:
    """The published steps on the same grid: normalization, windows, sigmoid, threshold, labels."""
    from monai.inferers import SlidingWindowInferer
    from monai.networks.nets import SegResNet
    from monai.transforms import NormalizeIntensity

    config = BundleConfig.read(folder / "configs" / "inference.json")
    network = SegResNet(**config.options("network_def", "SegResNet"))
    fill(network, read_state_dict(folder / "models" / "model.pt"), "model.pt")
    network = network.to(device).eval()
    prepared = read_study(study, study[0].volume)
    image = torch.from_numpy(np.stack([channel.astype(np.float32) for channel in prepared.channels]))
    image = NormalizeIntensity(nonzero=True, channel_wise=True)(image.to(device))
    inferer = SlidingWindowInferer(**config.options("inferer", "SlidingWindowInferer"))
    with torch.no_grad(), half_precision(device):
        logits = inferer(torch.as_tensor(image)[None], network)[0].float()
    core, whole, enhancing = torch.sigmoid(logits) > 0.5
    labels = torch.where(enhancing, 4, torch.where(core, 1, whole * 2)).to(torch.uint8)
    return prepared.on_source(labels.cpu().numpy())


def bundle(folder: Path, quick: bool) -> Path:
    """Random weights in the released layout, of the released size unless ``quick``."""
    return write_bundle(folder, {} if quick else RELEASED)


def compare(device: str, data: Path, quick: bool, weights: Path | None = None) -> tuple[Measured, Measured]:
    """The expert, then the bundle's steps, on the same study."""
    study = brain(data, quick)
    with tempfile.TemporaryDirectory() as temporary:
        folder = weights or bundle(Path(temporary) / "brats", quick)
        expert = Brats(WeightsAt(folder))
        expert.load(device)
        fast = measured(device, lambda: ours(expert, study))
        peer = measured(device, lambda: the_bundles(folder, study, device))
    return fast, peer


def rows(options: Options) -> list[Row]:
    """One line."""
    fast, peer = compare(options.device, options.data, options.quick, options.weights.get("BRATS"))
    shape = "x".join(map(str, fast.labels.shape))
    same = float(np.mean(fast.labels == peer.labels))
    return [
        Row("BRATS", f"four sequences, {shape}", fast, peer_name="the bundle's steps", peer=peer, same=same)
    ]
