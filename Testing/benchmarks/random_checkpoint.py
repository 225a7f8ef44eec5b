"""Checkpoint folders of the released shapes with random weights and the tests' tokenizers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from inference_backend.vila_m3.projector import Projector
from inference_backend.vila_m3.transformers_parts import LlamaForCausalLM, SiglipVisionModel

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "golden"
SHARD_BYTES = 4e9


@dataclass(frozen=True)
class Shape:
    """The numbers of a language model and the reference set whose tokenizer and template it takes."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    vocab_size: int
    like: str = "s3_vicuna3b"
    vision_layers: int = 27


SHAPES = {
    "tiny": Shape(512, 1376, 8, 8, 4, 8000, vision_layers=3),
    "3b": Shape(2560, 6912, 32, 20, 20, 32000),
    "8b": Shape(4096, 14336, 32, 32, 8, 128257, "s8_llama3"),
    "13b": Shape(5120, 13824, 40, 40, 40, 32000),
}


def write_random_checkpoint(folder: Path, shape: Shape) -> None:
    """Write a folder in the released layout, in bfloat16, on the GPU's arithmetic where there is one."""
    shutil.copytree(GOLDEN / shape.like / "checkpoint", folder, dirs_exist_ok=True)
    for path in folder.rglob("*.safetensors*"):
        path.unlink()
    size = shape.hidden_size
    numbers = {name: value for name, value in vars(shape).items() if name not in ("like", "vision_layers")}
    limits = {"max_position_embeddings": 4096, "tokenizer_model_max_length": 4096}
    llm = _change(folder / "llm" / "config.json", {**numbers, **limits})
    tower = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": shape.vision_layers}
    tower |= {"num_attention_heads": 16, "image_size": 384, "patch_size": 14}
    vision = _change(folder / "vision_tower" / "config.json", tower)
    edge = {"height": 384, "width": 384}
    _change(folder / "vision_tower" / "preprocessor_config.json", {"size": edge})
    _change(folder / "config.json", {"hidden_size": size, "mm_hidden_size": 1152})
    with torch.device("meta"):
        parts = {
            "llm": LlamaForCausalLM(LlamaForCausalLM.config_class(**llm)),
            "vision_tower": SiglipVisionModel(SiglipVisionModel.config_class(**vision)),
            "mm_projector": Projector(1152, size),
        }
    for name, part in parts.items():
        _write_weights(folder / name, part.state_dict())


def write_with_random_eyes(folder: Path, checkpoint: Path) -> None:
    """A copy of a checkpoint with a vision tower of random weights, which makes 196 tokens of an image."""
    shutil.copytree(checkpoint, folder, dirs_exist_ok=True)
    tower = folder / "vision_tower"
    edge = {"height": 384, "width": 384}
    _change(tower / "preprocessor_config.json", {"size": edge})
    vision = _change(tower / "config.json", {"image_size": 384, "patch_size": 14})
    with torch.device("meta"):
        part = SiglipVisionModel(SiglipVisionModel.config_class(**vision))
    _write_weights(tower, part.state_dict())


def _change(path: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps(content))
    return content


def _write_weights(folder: Path, shapes: Mapping[str, torch.Tensor]) -> None:
    """Shards of at most some gigabytes, one at a time."""
    shards: list[dict[str, torch.Size]] = [{}]
    size = 0.0
    for name, tensor in shapes.items():
        size += 2 * tensor.numel()
        if size > SHARD_BYTES:
            shards.append({})
            size = 2.0 * tensor.numel()
        shards[-1][name] = tensor.shape
    weight_map: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        file = (
            "model.safetensors" if len(shards) == 1 else f"model-{number:05}-of-{len(shards):05}.safetensors"
        )
        weights = {name: _random(name, shape) for name, shape in shard.items()}
        save_file(weights, folder / file, {"format": "pt"})
        weight_map |= dict.fromkeys(shard, file)
    if len(shards) > 1:
        index = {"metadata": {}, "weight_map": weight_map}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _random(name: str, shape: torch.Size) -> torch.Tensor:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if "norm" in name and name.endswith("weight"):
        return torch.ones(shape, dtype=torch.bfloat16)
    return torch.empty(shape, dtype=torch.bfloat16, device=device).normal_(0, 0.02).cpu()
