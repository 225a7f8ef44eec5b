"""The pool of pictures that conversations are about, and their features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inference_backend.demo_model.training.scenes import NO_PICTURE, Scene
from inference_backend.demo_model.training.slices import IMAGE_SIZE, LabelledImage, draw_images
from inference_backend.demo_model.training.sources import open_scans
from inference_backend.demo_model.training.train_vision import pixel_values, vision_features

TRAINING_PICTURES = 6500
HELD_OUT_PICTURES = 400
CONVERSATION_PICTURES = 1500
"""So many of the training pictures are also talked about."""


@dataclass(frozen=True)
class Pictures:
    """Pictures to train on, and of other scans to measure with."""

    training: list[LabelledImage]
    held_out: list[LabelledImage]


def draw_pictures(data: Path, seed: int, count: int = TRAINING_PICTURES) -> Pictures:
    """Draw both pools from the fetched scans, ``count`` pictures to train on."""
    training = list(open_scans(data, held_out=False))
    drawn = draw_images(training, count, np.random.default_rng(seed), augment=True)
    held_out = list(open_scans(data, held_out=True))
    return Pictures(
        training=drawn,
        held_out=draw_images(held_out, HELD_OUT_PICTURES, np.random.default_rng(seed + 1), augment=False),
    )


@torch.no_grad()
def feature_pool(
    tower: Any, images: Sequence[LabelledImage]
) -> tuple[dict[bytes, torch.Tensor], list[Scene]]:
    """Features (patches, channels) by key, and for each picture a scene without experts."""
    features: dict[bytes, torch.Tensor] = {NO_PICTURE: _of_noise(tower)}
    features[b""] = features[NO_PICTURE]
    scenes = []
    for number, image in enumerate(images[:CONVERSATION_PICTURES]):
        key = str(number).encode()
        features[key] = vision_features(tower, pixel_values([image]))[0].clone()
        scenes.append(Scene((), image.modality, image.modality, key, image.plane, image.region))
    return features, scenes


def _of_noise(tower: Any) -> torch.Tensor:
    noise = torch.randn(1, 3, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    return vision_features(tower, noise)[0].clone()
