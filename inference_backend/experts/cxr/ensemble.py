"""The eight TorchXRayVision models and how they vote.

Labels, resolutions and operating points (``models.json``) are those of torchxrayvision 1.5.7. The library
itself is not needed: it imports torchvision, whose registry build for Linux cannot be imported beside a CPU
torch and then breaks transformers too. The networks, a DenseNet-121 and a ResNet-50, are MONAI's.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from inference_backend.experts.state_dict import fill, read_state_dict

if TYPE_CHECKING:
    from torch import Tensor

_LAYER = re.compile(r"(denselayer\d+)\.")

_TABLE: dict[str, Any] = json.loads(Path(__file__).with_name("models.json").read_text(encoding="utf-8"))

FINDINGS: tuple[str, ...] = tuple(_TABLE["findings"])
"""In the order of the models' outputs."""

MEMBERS: tuple[str, ...] = tuple(_TABLE["models"])
RESNET = "resnet50-res512-all"

_ALL, _CHEX, _NIH, _PC = (f"densenet121-res224-{name}" for name in ("all", "chex", "nih", "pc"))
_FOUR = (_ALL, _CHEX, _PC, RESNET)
_PUBLISHED_VOTERS: dict[str, tuple[str, ...]] = {
    "Pneumothorax": (RESNET,),
    "Atelectasis": _FOUR,
    "Cardiomegaly": _FOUR,
    "Consolidation": _FOUR,
    "Edema": _FOUR,
    "Effusion": _FOUR,
    "Fracture": (_ALL, _NIH, _CHEX, RESNET),
}
"""Who votes on a finding in the published system; all eight on any other."""


@dataclass(frozen=True)
class Member:
    """A model. ``labels`` and ``thresholds`` are in the order of its outputs; nan where it has none."""

    name: str
    resolution: int
    labels: tuple[str, ...]
    thresholds: tuple[float, ...]
    network: Any

    def knows(self, finding: int) -> bool:
        """Whether it was trained on this finding and has an operating point for it."""
        return bool(self.labels[finding]) and not math.isnan(self.thresholds[finding])

    @property
    def breadth(self) -> int:
        """How many findings it was trained on."""
        return sum(map(bool, self.labels))

    @property
    def last_layers(self) -> tuple[Any, Any]:
        """The layer whose output is pooled, and the linear one behind the pooling."""
        names = ("layer4", "fc") if self.name == RESNET else ("class_layers.relu", "class_layers.out")
        features, linear = (self.network.get_submodule(name) for name in names)
        return features, linear

    def probabilities(self, picture: Any) -> list[float]:
        """For a tensor (1, 1, resolution, resolution); 0.5 is the operating point, and what is not known."""
        return self.look(picture)[0]

    def look(self, picture: Any) -> tuple[list[float], Any]:
        """The probabilities, and the features (1, channels, rows, columns) that they were pooled from."""
        import torch

        found: list[Any] = []
        hook = self.last_layers[0].register_forward_hook(lambda *run: found.append(run[2]))
        try:
            outputs = torch.sigmoid(self.network(picture).float())[0].tolist()
        finally:
            hook.remove()
        return [_around_half(*pair) for pair in zip(outputs, self.thresholds, strict=True)], found[0]


class Ensemble:
    """All models, loaded."""

    def __init__(self, members: Sequence[Member], device: str) -> None:
        self.members = tuple(members)
        self._device = device

    def pictures(self, image: npt.NDArray[Any]) -> dict[int, Any]:
        """A square image as the networks take it: tensors (1, 1, resolution, resolution) by resolution."""
        import torch
        from torch.nn.functional import interpolate

        tensor = torch.from_numpy(image)[None, None].to(self._device)
        resolutions = {member.resolution for member in self.members}
        return {
            resolution: interpolate(tensor, (resolution, resolution), mode="bilinear", antialias=True)
            for resolution in resolutions
        }

    def looked_at_by(self, place: int, as_published: bool) -> Member | None:
        """Of the models that vote on a finding the one whose heat map is shown: the broadest DenseNet."""
        asked = self._asked(place, as_published)
        knowing = [member for member in asked if member.knows(place)]
        return max(knowing, key=lambda member: (member.name != RESNET, member.breadth), default=None)

    def vote(self, outputs: Mapping[str, Sequence[float]], as_published: bool) -> dict[str, float]:
        """The mean probability of each finding over those who vote on it.

        ``as_published`` counts the constant 0.5 of models that do not know a finding.
        """
        return {finding: self._mean(place, outputs, as_published) for place, finding in enumerate(FINDINGS)}

    def _mean(self, place: int, outputs: Mapping[str, Sequence[float]], as_published: bool) -> float:
        asked = self._asked(place, as_published)
        return sum(outputs[member.name][place] for member in asked) / len(asked)

    def _asked(self, place: int, as_published: bool) -> list[Member]:
        voters = _PUBLISHED_VOTERS.get(FINDINGS[place], MEMBERS)
        return [
            member
            for member in self.members
            if member.name in voters and (as_published or member.knows(place))
        ]


def load_ensemble(folder: Path, device: str) -> Ensemble:
    """The eight models of a folder of converted weights.

    Raises:
        ExpertError: a file is damaged or of another network.
    """
    return Ensemble([_load(name, folder, device) for name in MEMBERS], device)


def empty_network(name: str) -> Any:
    """The network of a model without its weights; its outputs are logits."""
    from monai.networks.nets import DenseNet121, resnet50

    if name != RESNET:
        return DenseNet121(spatial_dims=2, in_channels=1, out_channels=len(FINDINGS))
    return resnet50(
        spatial_dims=2,
        n_input_channels=1,
        num_classes=len(FINDINGS),
        conv1_t_size=7,
        conv1_t_stride=2,
        shortcut_type="B",
        bias_downsample=False,
    )


def as_monai_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Released weights under the names that MONAI gives to the same layers."""
    return {
        _LAYER.sub(r"\1.layers.", key).replace("classifier.", "class_layers.out."): tensor
        for key, tensor in tensors.items()
    }


def released_file(name: str) -> str:
    """The name of a model's file as it was released."""
    return str(_TABLE["models"][name]["file"])


def converted_file(name: str) -> str:
    """Where a model's plain tensors lie in the expert's folder."""
    return f"converted/{name}.safetensors"


def _load(name: str, folder: Path, device: str) -> Member:
    network = empty_network(name)
    fill(network, as_monai_names(read_state_dict(folder / converted_file(name))), converted_file(name))
    return member(name, network.to(device).eval().requires_grad_(False))


def member(name: str, network: Any) -> Member:
    """A model with a network."""
    known = _TABLE["models"][name]
    thresholds = (math.nan if number is None else float(number) for number in known["thresholds"])
    return Member(name, int(known["resolution"]), tuple(known["labels"]), tuple(thresholds), network)


def _around_half(output: float, threshold: float) -> float:
    """The library's calibration: the operating point becomes 0.5, and so does what has none."""
    if math.isnan(threshold):
        return 0.5
    if output < threshold:
        return output / (2 * threshold)
    return 1 - (1 - output) / (2 * (1 - threshold))
