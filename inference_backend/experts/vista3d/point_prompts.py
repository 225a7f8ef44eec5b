"""A structure marked by points: inside it, or outside of it where it was overdrawn.

Runs MONAI's point-based inferer with the options of the published bundle: one window around each point.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from inference_backend.experts.precision import half_precision
from inference_backend.experts.prepared_image import IMAGE, PreparedImage
from inference_backend.experts.vista3d.model import Vista3dModel
from VILAM3SlicerLib.protocol.errors import ExpertError
from VILAM3SlicerLib.protocol.messages import PointPrompt

if TYPE_CHECKING:
    from torch import Tensor


def segment_at_points(
    prepared: PreparedImage, points: Sequence[PointPrompt], label: int | None, model: Vista3dModel
) -> tuple[Tensor, Tensor]:
    """Segment what the points mark.

    Args:
        label: the structure that they correct, None for one without a name.

    Returns:
        Two boolean tensors (X, Y, Z) of the prepared grid: what was found, and where it was looked for.

    Raises:
        ExpertError: a point lies outside the scan.
    """
    import torch
    from monai.apps.vista3d.inferer import point_based_window_inferer
    from monai.apps.vista3d.transforms import VistaPostTransformd

    prompts = _prompts(prepared, points, label, model)
    classes = None if label is None else torch.tensor([[label]], device=prepared.tensor.device)
    with torch.no_grad(), half_precision(model.device):
        logits = point_based_window_inferer(
            prepared.tensor[None],
            model.windows.size,
            model.network,
            prompts["points"],
            prompts["point_labels"],
            class_vector=classes,
            prompt_class=classes,
            transpose=True,
        )[0]
    searched = ~torch.isnan(logits[0])
    decided = VistaPostTransformd("pred")({"pred": logits, "label_prompt": classes, **prompts})["pred"][0]
    return torch.nan_to_num(torch.as_tensor(decided), nan=0.0) > 0, torch.as_tensor(searched)


def _prompts(
    prepared: PreparedImage, points: Sequence[PointPrompt], label: int | None, model: Vista3dModel
) -> dict[str, Tensor]:
    """Coordinates (1, points, 3) and kinds (1, points), as the network reads them for this structure."""
    import torch

    homogeneous = np.array([[*point.ras, 1.0] for point in points]).T
    voxels = (prepared.ras_to_voxel @ homogeneous)[:3].T
    if not ((voxels >= -0.5) & (voxels <= np.array(prepared.tensor.shape[1:]) - 0.5)).all():
        raise ExpertError(
            "A point lies outside the part of the scan with tissue.",
            "Place it on the structure that is meant.",
        )
    kinds = [int(point.is_positive) for point in points]
    data = {IMAGE: None, "label_prompt": None if label is None else [label], "point_labels": kinds}
    kinds = model.prompt_transform(data)["point_labels"]
    device = prepared.tensor.device
    inside = np.clip(voxels, 0, np.array(prepared.tensor.shape[1:]) - 1)
    return {
        "points": torch.from_numpy(inside)[None].to(device),
        "point_labels": torch.tensor([kinds], device=device),
    }
