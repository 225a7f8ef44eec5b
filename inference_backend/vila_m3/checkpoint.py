"""Reading and checking a checkpoint folder in the layout of the VILA-M3 release.

    config.json          how the parts fit together
    llm/                 a Llama: config, safetensors weights, tokenizer files
    vision_tower/        a SigLIP vision model: config, safetensors weights, preprocessor_config.json
    mm_projector/        the projector: config, safetensors weights

Everything that differs between checkpoints is read from these files. Nothing is unpickled and nothing is
looked up on a network; a folder that is damaged or of another architecture is refused with a
:class:`CheckpointError` before any weight is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from safetensors import SafetensorError, safe_open

from VILAM3SlicerLib.protocol.errors import CheckpointError
from VILAM3SlicerLib.protocol.messages import PromptLayout

COPY_AGAIN = "Copy or download the checkpoint folder again; it must be complete."
OTHER_MODEL = "Use a checkpoint in the layout of MONAI/Llama3-VILA-M3-3B, -8B or -13B, or the demo model."

_SUPPORTED_TOP_LEVEL: Mapping[str, tuple[object, ...]] = {
    "model_type": ("llava_llama",),
    "image_aspect_ratio": ("resize",),
    "mm_vision_select_feature": ("cls_patch",),
    "mm_use_im_start_end": (False,),
    "mm_use_im_patch_token": (False,),
    "s2": (False,),
    "prompt_layout": get_args(PromptLayout),
}


@dataclass(frozen=True)
class Part:
    """One of the three models of a checkpoint: its folder, its ``config.json`` and its weight files."""

    folder: Path
    config: Mapping[str, Any]
    weight_files: tuple[Path, ...]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint folder whose files are known to be there and to fit together; no weight is in memory."""

    folder: Path
    config: Mapping[str, Any]
    llm: Part
    vision_tower: Part
    projector: Part
    preprocessor: Mapping[str, Any]

    @property
    def display_name(self) -> str:
        """The name to show: ``display_name`` of config.json, else the folder's name."""
        return str(self.config.get("display_name") or self.folder.name)

    @property
    def is_demo(self) -> bool:
        """Whether the checkpoint declares itself a demo model, not the published one."""
        return bool(self.config.get("demo_model", False))

    @property
    def prompt_layout(self) -> PromptLayout:
        """What the weights were trained with: ``prompt_layout`` of config.json, else by the kind of model.

        Demo models that were built before there was the key have their images on lines.
        """
        layout: PromptLayout | None = self.config.get("prompt_layout")
        return layout or ("lines" if self.is_demo else "training")

    @property
    def max_length(self) -> int | None:
        """Length in tokens at which the original cuts a prompt with images; None where it does not cut."""
        length: int | None = self.llm.config.get("tokenizer_model_max_length")
        return length

    @property
    def context_length(self) -> int:
        """Tokens of prompt and answer together that the language model was made for."""
        positions = int(self.llm.config["max_position_embeddings"])
        return min(positions, self.max_length or positions)

    @property
    def image_size(self) -> int:
        """Edge of the square image that the vision tower takes, in pixels."""
        return int(self.vision_tower.config["image_size"])

    @property
    def patch_grid(self) -> int:
        """Patches along one edge; pixels that do not fill a patch are dropped by the patch convolution."""
        return self.image_size // int(self.vision_tower.config["patch_size"])

    @property
    def tokens_per_image(self) -> int:
        """Embeddings that one image takes in the prompt: one for each started 2x2 block of patches."""
        return ((self.patch_grid + 1) // 2) ** 2

    @property
    def vision_layer(self) -> int:
        """Which entry of the vision tower's hidden states is the image feature (-2 in the release)."""
        layer: int = self.config.get("mm_vision_select_layer", -2)
        return layer


def read_checkpoint(folder: str | Path) -> Checkpoint:
    """Check a checkpoint folder and read its configuration.

    Raises:
        CheckpointError: something is missing, damaged or not of this architecture; the message names it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise CheckpointError(f"There is no checkpoint folder at {root}.", COPY_AGAIN)
    config = read_json(root / "config.json")
    _require_supported(config)
    checkpoint = Checkpoint(
        folder=root,
        config=config,
        llm=_read_part(root / "llm", "LlamaForCausalLM"),
        vision_tower=_read_part(root / "vision_tower", "SiglipVisionModel"),
        projector=_read_part(root / "mm_projector", "MultimodalProjector"),
        preprocessor=read_json(root / "vision_tower" / "preprocessor_config.json"),
    )
    _require_fitting_parts(checkpoint)
    return checkpoint


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CheckpointError: the file is missing or holds no JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"The checkpoint has no {path.parent.name}/{path.name}.", COPY_AGAIN) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}", COPY_AGAIN) from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds no JSON object.", COPY_AGAIN)
    return value


def read_optional_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; an absent file reads as an empty one."""
    return read_json(path) if path.exists() else {}


def _require_supported(config: Mapping[str, Any]) -> None:
    for key, supported in _SUPPORTED_TOP_LEVEL.items():
        if key in config and config[key] not in supported:
            raise CheckpointError(
                f"config.json says {key} = {config[key]!r}; only {supported[0]!r} is supported.", OTHER_MODEL
            )


def _read_part(folder: Path, architecture: str) -> Part:
    config = read_json(folder / "config.json")
    found = config.get("architectures") or [architecture]
    if found[0] != architecture:
        raise CheckpointError(f"{folder.name}/ holds a {found[0]}, not a {architecture}.", OTHER_MODEL)
    return Part(folder, config, _weight_files(folder))


def _weight_files(folder: Path) -> tuple[Path, ...]:
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        files: tuple[Path, ...] = (folder / "model.safetensors",)
        _require_readable(files[0], None)
        return files
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{folder.name}/{index.name} names no weights.", COPY_AGAIN)
    files = tuple(folder / name for name in sorted(set(weight_map.values())))
    for path in files:
        if path.parent != folder:
            raise CheckpointError(f"{folder.name}/{index.name} points outside its folder.", COPY_AGAIN)
        _require_readable(path, {name for name, shard in weight_map.items() if shard == path.name})
    return files


def _require_readable(path: Path, expected: set[str] | None) -> None:
    """Open a weight file's header, which also compares its length with what the header promises."""
    if not path.exists():
        pickled = any(path.parent.glob("*.bin")) or any(path.parent.glob("*.pt*"))
        reason = "; its weights are pickled, and pickles are not opened because they can run code"
        raise CheckpointError(
            f"The checkpoint has no {path.parent.name}/{path.name}{reason if pickled else ''}.",
            "Convert the weights to safetensors." if pickled else COPY_AGAIN,
        )
    try:
        with safe_open(path, framework="numpy") as tensors:
            missing = (expected or set()) - set(tensors.keys())
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged: {error}", COPY_AGAIN) from error
    if missing:
        raise CheckpointError(f"{path} lacks the tensor {min(missing)}.", COPY_AGAIN)


def _require_fitting_parts(checkpoint: Checkpoint) -> None:
    kind = checkpoint.projector.config.get("mm_projector_type")
    if kind != "mlp_downsample":
        raise CheckpointError(
            f"The projector type {kind!r} is unknown; only 'mlp_downsample' is.", OTHER_MODEL
        )
    for part, keys in (
        (checkpoint.vision_tower, ("image_size", "patch_size", "hidden_size", "num_hidden_layers")),
        (checkpoint.llm, ("max_position_embeddings", "hidden_size", "vocab_size")),
    ):
        for key in keys:
            value = part.config.get(key)
            if not isinstance(value, int) or value < 1:
                raise CheckpointError(f"{part.folder.name}/config.json has no usable {key}.", COPY_AGAIN)
    if not isinstance(checkpoint.max_length, int | None):
        raise CheckpointError("llm/config.json has no usable tokenizer_model_max_length.", COPY_AGAIN)
    if checkpoint.patch_grid < 1:
        raise CheckpointError("The vision tower's patches are larger than its image.", OTHER_MODEL)
    layers = checkpoint.vision_tower.config["num_hidden_layers"]
    if checkpoint.vision_layer not in range(-layers - 1, layers + 1):
        raise CheckpointError(f"The vision tower has no layer {checkpoint.vision_layer}.", OTHER_MODEL)
