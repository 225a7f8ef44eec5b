"""A BraTS bundle in the released layout, small and with random weights, and MONAI's own answer with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

INFERENCE: dict[str, Any] = {
    "image_key": "image",
    "network_def": {
        "_target_": "SegResNet",
        "blocks_down": [1, 1, 1],
        "blocks_up": [1, 1],
        "init_filters": 8,
        "in_channels": 4,
        "out_channels": 3,
        "dropout_prob": 0.2,
    },
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": "@image_key", "image_only": True},
            {
                "_target_": "NormalizeIntensityd",
                "keys": "@image_key",
                "nonzero": True,
                "channel_wise": True,
            },
        ],
    },
    "inferer": {
        "_target_": "SlidingWindowInferer",
        "roi_size": [24, 24, 16],
        "sw_batch_size": 1,
        "overlap": 0.5,
    },
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "Activationsd", "keys": "pred", "sigmoid": True},
            {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5},
            {
                "_target_": "Lambdad",
                "keys": "pred",
                "func": "$lambda x: torch.where(x[[2]] > 0, 4, "
                "torch.where(x[[0]] > 0, 1, torch.where(x[[1]] > 0, 2, 0)))",
            },
        ],
    },
}


def write_bundle(folder: Path, changes: Mapping[str, Any] | None = None) -> Path:
    """The bundle's files with random weights; ``changes`` replace parts of the configuration."""
    from monai.bundle import ConfigParser

    torch.manual_seed(11)
    configuration = {**INFERENCE, **(changes or {})}
    network = ConfigParser(configuration).get_parsed_content("network_def")
    with torch.no_grad():  # so that each label occurs
        network.conv_final[-1].conv.bias += torch.tensor([-0.3, 0.5, -0.3])
    for name in ("configs", "models"):
        (folder / name).mkdir(parents=True)
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    (folder / "configs" / "inference.json").write_text(json.dumps(configuration))
    (folder / "configs" / "metadata.json").write_text(json.dumps({"version": "0.5.2"}))
    return folder


def monais_answer(folder: Path, images: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Labels of four files, and where no channel is within 1e-4 of the threshold."""
    from monai.bundle import ConfigParser

    parser = ConfigParser({**INFERENCE, "imports": ["$import torch"]})
    network = parser.get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(folder / "models" / "model.pt", weights_only=True))
    image = parser.get_parsed_content("preprocessing")({"image": [str(path) for path in images]})["image"]
    with torch.no_grad():
        logits = parser.get_parsed_content("inferer")(image[None], network)[0]
    certain = (logits.abs() > 1e-4).all(0).numpy()
    labels = parser.get_parsed_content("postprocessing")({"pred": logits.clone()})["pred"]
    return labels[0].numpy(), certain
