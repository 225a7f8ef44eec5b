"""Pictures to the numbers that the vision tower takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from inference_backend.vila_m3.checkpoint import COPY_AGAIN, Checkpoint
from VILAM3SlicerLib.protocol.errors import CheckpointError


@dataclass(frozen=True)
class ImagePreprocessor:
    """Resizing, scaling and normalisation as the checkpoint's preprocessor_config.json gives them."""

    size: int
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def as_seen(self, image: Image.Image) -> Image.Image:
        """The picture as the model sees it: RGB, squeezed to (size, size) pixels without keeping its aspect.

        Bicubic as PIL computes it (antialiased when shrinking); other resizers differ visibly.
        """
        return image.convert("RGB").resize((self.size, self.size), Image.Resampling.BICUBIC)

    def pixel_values(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Array of shape (images, 3, size, size), float32, channels R, G, B, rows from the top."""
        if not images:
            return np.zeros((0, 3, self.size, self.size), np.float32)
        return np.stack([self._normalised(self.as_seen(image)) for image in images])

    def _normalised(self, image: Image.Image) -> npt.NDArray[np.float32]:
        rescaled = (np.asarray(image) * self.scale).astype(np.float32)
        normalised = (rescaled - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(normalised.transpose(2, 0, 1))


def image_preprocessor(checkpoint: Checkpoint) -> ImagePreprocessor:
    """The preprocessing that a checkpoint asks for.

    Raises:
        CheckpointError: its preprocessor_config.json cannot be followed or does not fit the vision tower.
    """
    config = checkpoint.preprocessor
    size = config.get("size", {})
    if (size.get("height"), size.get("width")) != (checkpoint.image_size, checkpoint.image_size):
        raise CheckpointError(
            f"preprocessor_config.json resizes to {size}, not to what the tower takes.", COPY_AGAIN
        )
    normalises = bool(config.get("do_normalize", True))
    return ImagePreprocessor(
        size=checkpoint.image_size,
        scale=float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1.0,
        mean=_channels(config, "image_mean", 0.5) if normalises else (0.0, 0.0, 0.0),
        std=_channels(config, "image_std", 0.5) if normalises else (1.0, 1.0, 1.0),
    )


def _channels(config: Mapping[str, Any], key: str, default: float) -> tuple[float, ...]:
    values = tuple(float(value) for value in config.get(key, (default,) * 3))
    if len(values) != 3:
        raise CheckpointError(
            f"preprocessor_config.json has {len(values)} values of {key}, not 3.", COPY_AGAIN
        )
    return values
