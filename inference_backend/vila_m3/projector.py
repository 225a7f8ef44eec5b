"""The projector between vision tower and language model."""

from __future__ import annotations

import torch
from torch import nn

NORM_EPS = 1e-5


def merge_blocks(features: torch.Tensor) -> torch.Tensor:
    """Put each 2x2 block of patches into one vector.

    Args:
        features: shape (images, grid * grid, channels), patches row by row.

    Returns:
        Shape (images, blocks * blocks, 4 * channels) with blocks = ceil(grid / 2). Channels of a block are
        (row 0, column 0), (row 0, column 1), (row 1, column 0), (row 1, column 1). Blocks go COLUMN by
        column, which transposes the picture; the released weights were trained so. An odd grid gets a row of
        zeros at the bottom and a column of zeros on the right.
    """
    images, patches, channels = features.shape
    grid = round(patches**0.5)
    padding = grid % 2
    blocks = (grid + padding) // 2
    picture = features.reshape(images, grid, grid, channels)
    picture = nn.functional.pad(picture, (0, 0, 0, padding, 0, padding))
    picture = picture.reshape(images, blocks, 2, blocks, 2, channels)
    return picture.permute(0, 3, 1, 2, 4, 5).reshape(images, blocks * blocks, 4 * channels)


class BlockMerge(nn.Module):
    """:func:`merge_blocks` as a layer."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return merge_blocks(features)


class Projector(nn.Module):
    """Projector type ``mlp_downsample``; its layers stand where the released tensors' names say."""

    def __init__(self, vision_channels: int, hidden_size: int) -> None:
        super().__init__()
        merged = 4 * vision_channels
        self.layers = nn.Sequential(
            BlockMerge(),
            nn.LayerNorm(merged, eps=NORM_EPS),
            nn.Linear(merged, hidden_size),
            nn.GELU(),
            nn.Linear(hidden_size, hidden_size),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(images, grid * grid, vision channels) to (images, tokens per image, hidden size)."""
        projected: torch.Tensor = self.layers(features)
        return projected
