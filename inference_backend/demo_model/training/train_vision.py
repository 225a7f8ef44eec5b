"""Trains the vision tower to tell modality, plane and body region, and scores it on other scans."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import SiglipVisionConfig, SiglipVisionModel

from inference_backend.demo_model.layout import VISION_TOWER
from inference_backend.demo_model.training.slices import MODALITIES, PLANES, REGIONS, LabelledImage
from inference_backend.demo_model.training.two_cores import TwoCores

CLASSES = {"modality": MODALITIES, "plane": PLANES, "region": REGIONS}
BATCH = 32
LEARNING_RATE = 8e-4
WARMUP = 0.1
COSINE_SCALE = 24.0
"""Brings the brightness of a patch (up to 32 in this basis) to the size that layers work with."""
POSITION_SPREAD = 0.5


@dataclass(frozen=True)
class VisionScore:
    """Share of held-out pictures named right; by scan under the scan's name."""

    images: int
    accuracy: dict[str, float]
    by_scan: dict[str, dict[str, float]]

    def as_json(self) -> dict[str, Any]:
        """For metrics.json."""
        return asdict(self)


class ImageReader(nn.Module):
    """The vision tower with a linear read-out per question.

    The read-outs sit on what the projector will get: the mean of the patches in the last hidden layer but
    one. They serve training and scoring only and are not kept.
    """

    def __init__(self, tower: Any) -> None:
        super().__init__()
        self.tower = tower
        hidden = tower.config.hidden_size
        self.heads = nn.ModuleDict(
            {name: nn.Linear(hidden, len(classes)) for name, classes in CLASSES.items()}
        )

    def forward(self, pixel_values: torch.Tensor) -> dict[str, torch.Tensor]:
        pooled = vision_features(self.tower, pixel_values).mean(dim=1)
        return {name: head(pooled) for name, head in self.heads.items()}


def vision_features(tower: Any, pixel_values: torch.Tensor) -> torch.Tensor:
    """(images, patches, channels): the hidden layer that a VILA-M3 model projects."""
    features: torch.Tensor = tower(pixel_values, output_hidden_states=True).hidden_states[-2]
    return features


def pixel_values(images: Sequence[LabelledImage]) -> torch.Tensor:
    """(images, 3, 224, 224), normalised as the checkpoint's preprocessor does."""
    grey = torch.from_numpy(np.stack([image.pixels for image in images])).float() / 127.5 - 1.0
    return grey[:, None].expand(-1, 3, -1, -1)


def train_vision_tower(
    images: Sequence[LabelledImage], epochs: int, seed: int, report: Callable[[str], None]
) -> ImageReader:
    """A vision tower that was trained on labelled pictures."""
    torch.manual_seed(seed)
    tower = SiglipVisionModel(SiglipVisionConfig(**VISION_TOWER))
    start_with_cosines(tower)
    reader = ImageReader(tower)
    trained = list(reader.parameters())
    optimizer = torch.optim.AdamW(trained, lr=LEARNING_RATE, weight_decay=0.05)
    steps = epochs * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, steps, pct_start=WARMUP)
    running = 0.0
    with TwoCores(trained) as cores:
        for step, batch in enumerate(_batches(images, epochs, seed)):
            halves = (batch[: BATCH // 2], batch[BATCH // 2 :])
            loss = cores.set_mean_gradients([partial(_loss, reader, half) for half in halves])
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            schedule.step()
            running = 0.95 * running + 0.05 * loss if step else loss
            if step % 50 == 0:
                report(f"vision step {step}/{steps}, loss {running:.3f}")
    return reader.eval()


def _batches(images: Sequence[LabelledImage], epochs: int, seed: int) -> Iterator[list[LabelledImage]]:
    random = np.random.default_rng(seed)
    for _ in range(epochs):
        order = random.permutation(len(images))
        for start in range(0, len(images) - BATCH + 1, BATCH):
            yield [images[index] for index in order[start : start + BATCH]]


@torch.no_grad()
def start_with_cosines(tower: Any) -> None:
    """Set the patch embedding to the lowest spatial frequencies, the positions to smooth random ones.

    From plain noise so few scans would teach it the scans, not what images have in common.
    """
    patches = tower.get_parameter("embeddings.patch_embedding.weight")  # (channels, 3, patch, patch)
    waves = _cosine_waves(patches.shape[-1])[: patches.shape[0]]
    patches.copy_((waves / COSINE_SCALE / patches.shape[1])[:, None].expand_as(patches))
    positions = tower.get_parameter("embeddings.position_embedding.weight")  # (grid * grid, channels)
    grid = _cosine_waves(round(positions.shape[0] ** 0.5)).flatten(1)
    falling = 1.0 / torch.arange(1, len(grid) + 1) ** 0.5
    smooth = (grid * falling[:, None]).T @ torch.randn(len(grid), positions.shape[1])
    positions.copy_(smooth / smooth.std() * POSITION_SPREAD)


def _cosine_waves(size: int) -> torch.Tensor:
    """(size * size, size, size): the orthonormal cosine waves on a square, the slowest first."""
    place = (torch.arange(size) + 0.5) * math.pi / size
    cosines = torch.stack([torch.cos(frequency * place) for frequency in range(size)])
    cosines /= cosines.norm(dim=1, keepdim=True)
    pairs = sorted(((i, j) for i in range(size) for j in range(size)), key=sum)
    return torch.stack([torch.outer(cosines[i], cosines[j]) for i, j in pairs])


def _loss(reader: ImageReader, batch: Sequence[LabelledImage]) -> torch.Tensor:
    logits = reader(pixel_values(batch))
    losses = [
        nn.functional.cross_entropy(logits[name], _targets(batch, name), label_smoothing=0.05)
        for name in CLASSES
    ]
    return torch.stack(losses).sum()


def _targets(batch: Sequence[LabelledImage], name: str) -> torch.Tensor:
    return torch.tensor([CLASSES[name].index(getattr(image, name)) for image in batch])


@torch.inference_mode()
def score_vision_tower(reader: ImageReader, images: Sequence[LabelledImage]) -> VisionScore:
    """Score on pictures of scans that were not trained on."""
    right: dict[str, list[bool]] = {name: [] for name in CLASSES}
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        logits = reader(pixel_values(batch))
        for name in CLASSES:
            right[name] += (logits[name].argmax(dim=1) == _targets(batch, name)).tolist()
    scans = sorted({image.scan for image in images})
    return VisionScore(
        images=len(images),
        accuracy={name: _share(values) for name, values in right.items()},
        by_scan={
            scan: {
                name: _share(
                    [value for value, image in zip(values, images, strict=True) if image.scan == scan]
                )
                for name, values in right.items()
            }
            for scan in scans
        },
    )


def _share(values: Sequence[bool]) -> float:
    return round(sum(values) / len(values), 4)
