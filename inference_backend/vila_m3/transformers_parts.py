"""What is used of transformers, imported in one place, after torchvision can be imported without harm."""

from __future__ import annotations

from inference_backend.torchvision_import import make_torchvision_importable

make_torchvision_importable()

from transformers import BitsAndBytesConfig, CompileConfig, StaticCache  # noqa: E402
from transformers.cache_utils import Cache, CacheLayerMixin  # noqa: E402
from transformers.models.llama.modeling_llama import LlamaForCausalLM  # noqa: E402
from transformers.models.siglip.modeling_siglip import SiglipVisionModel  # noqa: E402

__all__ = [
    "BitsAndBytesConfig",
    "Cache",
    "CacheLayerMixin",
    "CompileConfig",
    "LlamaForCausalLM",
    "SiglipVisionModel",
    "StaticCache",
]
