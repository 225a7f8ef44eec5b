"""The demo model's shape and files: the released layout with small parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

DISPLAY_NAME = "VILA-M3 demo (SmolLM2-135M)"
TEMPLATE = "vicuna_v1"
PROMPT_LAYOUT: Final = "lines"
"""What its training texts look like: conversation.prompting, with each image on a line of its own."""

CHECKOUT = Path(__file__).resolve().parents[2]
RESOURCES = CHECKOUT / "Resources" / "demo_model"
"""What was trained: committed, under 25 MB."""

ADAPTER_FOLDER = "adapter"
VISION_TOWER_FILE = "vision_tower.safetensors"
PROJECTOR_FILE = "mm_projector.safetensors"
METRICS_FILE = "metrics.json"
MODEL_CARD_FILE = "MODEL_CARD.md"

HIDDEN_SIZE = 576
"""Width of SmolLM2-135M."""

CONTEXT_LENGTH = 4096

VISION_TOWER: dict[str, Any] = {
    "hidden_size": 192,
    "intermediate_size": 768,
    "num_hidden_layers": 6,
    "num_attention_heads": 3,
    "image_size": 224,
    "patch_size": 32,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
    "vision_use_head": False,
}
"""A SigLIP vision model: 7x7 patches, 16 tokens an image after the projector."""

PREPROCESSOR: dict[str, Any] = {
    "image_processor_type": "SiglipImageProcessor",
    "do_resize": True,
    "size": {"height": 224, "width": 224},
    "resample": 3,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}


def vision_tower_config() -> dict[str, Any]:
    """config.json of vision_tower/."""
    return {"architectures": ["SiglipVisionModel"], "model_type": "siglip_vision_model", **VISION_TOWER}


def projector_config() -> dict[str, Any]:
    """config.json of mm_projector/."""
    return {
        "architectures": ["MultimodalProjector"],
        "model_type": "v2l_projector",
        "mm_projector_type": "mlp_downsample",
    }


def checkpoint_config() -> dict[str, Any]:
    """config.json of the whole checkpoint, in the keys of the release and ours."""
    return {
        "architectures": ["LlavaLlamaModel"],
        "model_type": "llava_llama",
        "conversation_template": TEMPLATE,
        "demo_model": True,
        "display_name": DISPLAY_NAME,
        "hidden_size": HIDDEN_SIZE,
        "image_aspect_ratio": "resize",
        "mm_hidden_size": VISION_TOWER["hidden_size"],
        "mm_use_im_patch_token": False,
        "mm_use_im_start_end": False,
        "mm_vision_select_feature": "cls_patch",
        "mm_vision_select_layer": -2,
        "model_dtype": "torch.bfloat16",
        "prompt_layout": PROMPT_LAYOUT,
        "s2": False,
    }
