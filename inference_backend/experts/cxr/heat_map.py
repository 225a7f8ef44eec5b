"""Where a network sees signs of a finding: MONAI's class activation map.

The map of a finding says what each place adds to the network's output for it; what speaks against it is cut
off, and the strongest sign is 1.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from inference_backend.experts.cxr.ensemble import Member
from inference_backend.imaging.volume import Affine, Array

_FINER = 8
"""How much finer the shown map is than the network's last layer (7x7 or 16x16)."""


def activation_maps(member: Member, features: Any, places: Sequence[int]) -> Array:
    """The raw maps of some outputs, shape (outputs, rows, columns) of the network's last layer.

    Their mean and the output's bias make up the output.

    Args:
        features: see ``Member.look``.
        places: which of the network's outputs.
    """
    import torch
    from monai.visualize import CAM
    from torch import nn

    linear = member.last_layers[1]
    layers = {"seen": nn.Identity(), "pool": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten(), "out": linear}
    head = nn.Sequential(OrderedDict(layers))
    cam = CAM(head, target_layers="seen", fc_layers="out", postprocessing=lambda map_: map_)
    with torch.no_grad():
        maps = cam(features.expand(len(places), -1, -1, -1), class_idx=torch.tensor(places))
        bias = linear.bias[list(places), None, None, None]
        raw: Array = (maps - bias).float().cpu().numpy()[:, 0]
    return raw


def shown(raw: Array) -> Array | None:
    """A raw map as a person sees it, 0 to 1 and finer; None where nothing speaks for the finding."""
    import torch
    from torch.nn.functional import interpolate

    if not raw.max() > 0:
        return None
    finer = interpolate(torch.from_numpy(raw)[None, None], scale_factor=_FINER, mode="bilinear")[0, 0]
    strength: Array = np.clip(finer.numpy() / finer.max().item(), 0, 1)
    return strength


def pixels_of_map(square_to_ras: Affine, side: int, pixels: int) -> Affine:
    """Where the pixels of a map lie that has ``pixels`` along each side of a square of ``side`` pixels."""
    step = side / pixels
    scale = np.diag([step, step, 1.0, 1.0])
    scale[:2, 3] = (step - 1) / 2
    matrix: Affine = square_to_ras @ scale
    return matrix
