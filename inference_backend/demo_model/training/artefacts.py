"""Writing and reading what was trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from inference_backend.demo_model.layout import VISION_TOWER
from inference_backend.torchvision_import import make_torchvision_importable

BASE_NAME = "SmolLM2-135M-Instruct"


def save_weights(module: nn.Module, path: Path) -> None:
    """Save a module's weights in bfloat16."""
    save_file(_narrowed(module.state_dict()), path, metadata={"format": "pt"})


def save_adapter(language_model: Any, folder: Path) -> None:
    """Save the LoRA adapter of a peft model in bfloat16, in peft's own layout."""
    from peft import get_peft_model_state_dict

    folder.mkdir(parents=True, exist_ok=True)
    config = language_model.peft_config["default"]
    config.base_model_name_or_path = BASE_NAME
    config.inference_mode = True
    config.save_pretrained(folder)
    weights = _narrowed(get_peft_model_state_dict(language_model, save_embedding_layers=False))
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def load_vision_tower(path: Path) -> nn.Module:
    """The vision tower as saved, in float32."""
    make_torchvision_importable()
    from transformers import SiglipVisionConfig, SiglipVisionModel

    tower: nn.Module = SiglipVisionModel(SiglipVisionConfig(**VISION_TOWER))
    tower.load_state_dict(load_file(path))
    return tower.float().eval()


def _narrowed(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().to(torch.bfloat16).contiguous() for name, tensor in weights.items()}
