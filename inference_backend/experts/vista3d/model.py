"""A VISTA3D bundle, loaded: network, window, preprocessing and prompts as its configuration says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inference_backend.experts.bundle_config import BundleConfig, bundle_version
from inference_backend.experts.prepared_image import PreparedImage, prepare
from inference_backend.experts.state_dict import read_state_dict
from inference_backend.experts.vista3d.network import ClassPrompted, build_network
from inference_backend.experts.vista3d.sliding_window import Windows
from inference_backend.imaging.volume import Volume

WEIGHT_FILES = (
    "models/model.pt",
    "models/model.safetensors",
    "vista3d_pretrained_model/model.safetensors",
    "model.safetensors",
)
"""Where the editions keep their weights; the last two are the Hugging Face edition's."""

INFERENCE = "configs/inference.json"

_STEPS = "preprocessing_transforms"

_REPLICATES_SINCE = (0, 5, 7)
"""From this version on the bundle pads small volumes with their edge, before with zeros."""


class Vista3dModel:
    """A loaded bundle."""

    def __init__(self, folder: Path, device: str) -> None:
        """Raises ExpertError where the folder's files are damaged or of another network."""
        self._config = BundleConfig.read(folder / INFERENCE)
        weights = weights_file(folder)
        assert weights is not None, "asked for without weights"
        self.device = device
        self.network = build_network(read_state_dict(weights), weights.name).to(device)
        self.class_prompted = ClassPrompted(self.network)
        self.windows = self._windows(bundle_version(folder))
        self.everything: tuple[int, ...] = tuple(sorted(self._config.value("everything_labels")))

    def prepare(self, volume: Volume) -> PreparedImage:
        """Preprocess a volume in Hounsfield units."""
        return prepare([volume.voxels], volume.ijk_to_ras, self._config, _STEPS, self.device)

    def prompt_transform(self, data: dict[str, Any]) -> dict[str, Any]:
        """MONAI's own step that rewrites prompts: a structure as its parts, points of special classes."""
        from monai.apps.vista3d.transforms import VistaPreTransformd

        transform = VistaPreTransformd("image", subclass=self._config.value("subclass"))
        result: dict[str, Any] = transform(dict(data))
        return result

    def expanded(self, labels: Sequence[int]) -> tuple[int, ...]:
        """The prompts that stand for these labels (a lung is its lobes), each once."""
        return tuple(dict.fromkeys(self.prompt_transform({"label_prompt": list(labels)})["label_prompt"]))

    def _windows(self, version: str) -> Windows:
        from monai.inferers import SlidingWindowInfererAdapt

        size: tuple[int, int, int] = tuple(self._config.value("patch_size"))
        inferer = SlidingWindowInfererAdapt(size)  # class prompts run with MONAI's own default overlap
        padding = "replicate" if _numbers(version) >= _REPLICATES_SINCE else "constant"
        return Windows(size, inferer.overlap, padding)


def weights_file(folder: Path) -> Path | None:
    """The bundle's weights, of whichever edition; None where there are none."""
    return next((folder / name for name in WEIGHT_FILES if (folder / name).is_file()), None)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
