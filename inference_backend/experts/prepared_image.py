"""A volume taken through a bundle's preprocessing, and labels taken back onto the volume's grid.

Everything here is MONAI's doing; this module only hands over the volume with its geometry and takes it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from inference_backend.experts.bundle_config import BundleConfig
from inference_backend.imaging.volume import Affine, Array

IMAGE = "image"
_LABELS = "labels"


class PreparedImage:
    """A preprocessed image that remembers how to get back."""

    def __init__(self, tensor: Any, transform: Any) -> None:
        self._transform = transform
        self.tensor = tensor
        """MONAI's MetaTensor, shape (channels, X, Y, Z)."""

    @property
    def ras_to_voxel(self) -> Affine:
        """4x4, maps RAS in mm to continuous indices of the preprocessed image."""
        inverse: Affine = np.linalg.inv(self.tensor.affine.cpu().numpy()).astype(np.float64)
        return inverse

    def labels_on_source(self, labels: Any) -> npt.NDArray[np.uint8]:
        """Labels of the preprocessed grid, a tensor (X, Y, Z), on the source's grid; nearest, 0 outside."""
        from monai.data import MetaTensor
        from monai.transforms import Invertd

        invert = Invertd(_LABELS, self._transform, orig_keys=IMAGE, nearest_interp=True, to_tensor=True)
        on_grid = MetaTensor(labels[None].float().cpu(), meta=self.tensor.meta)
        inverted = invert({IMAGE: self.tensor, _LABELS: on_grid})[_LABELS]
        result: npt.NDArray[np.uint8] = np.nan_to_num(np.asarray(inverted[0])).astype(np.uint8)
        return result


def prepare(
    channels: Sequence[Array],
    ijk_to_ras: Affine,
    config: BundleConfig,
    steps: str,
    device: str,
) -> PreparedImage:
    """Preprocess as a bundle says.

    Args:
        channels: one array (I, J, K) per channel, all on the grid of ``ijk_to_ras``.
        steps: the name of the configuration's transforms.

    Raises:
        ExpertError: the bundle wants a step that is not known here.
    """
    import torch
    from monai.data import MetaTensor
    from monai.transforms import Compose

    voxels = np.stack([channel.astype(np.float32) for channel in channels])
    image = MetaTensor(torch.from_numpy(voxels), affine=torch.from_numpy(ijk_to_ras.copy()))
    transform = Compose(config.transforms(steps))
    return PreparedImage(transform({IMAGE: image.to(device)})[IMAGE], transform)
