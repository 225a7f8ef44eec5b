"""Random weights in the layout of the released chest X-ray models, converted; and radiographs for tests."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors.torch import save_file

from inference_backend.experts.cxr.ensemble import (
    MEMBERS,
    RESNET,
    as_monai_names,
    converted_file,
    empty_network,
)


def released_names(network: torch.nn.Module, name: str) -> dict[str, str]:
    """The released name of each of a network's tensors."""
    keys = list(network.state_dict())
    if name == RESNET:
        return dict(zip(keys, keys, strict=True))
    released = [key.replace(".layers.", ".").replace("class_layers.out", "classifier") for key in keys]
    assert list(as_monai_names(dict.fromkeys(released))) == keys  # type: ignore[arg-type]
    return dict(zip(keys, released, strict=True))


def write_converted(folder: Path) -> Path:
    """A folder as download and conversion leave it; the seven DenseNets share one file of numbers."""
    (folder / "converted").mkdir(parents=True)
    torch.manual_seed(3)
    for name in (MEMBERS[0], RESNET):
        network = empty_network(name)
        names = released_names(network, name)
        tensors = {names[key]: tensor for key, tensor in network.state_dict().items()}
        tensors["fc.weight" if name == RESNET else "classifier.weight"] *= 0.001  # else all is 0 or 1
        save_file(tensors, folder / converted_file(name))
    for name in MEMBERS[1:]:
        if name != RESNET:
            os.link(folder / converted_file(MEMBERS[0]), folder / converted_file(name))
    return folder
