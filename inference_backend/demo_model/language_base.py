"""The language model that the demo model starts from: SmolLM2-135M-Instruct as the set-up unpacked it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from inference_backend.demo_model.gguf_llama import read_llama
from inference_backend.demo_model.layout import CHECKOUT, CONTEXT_LENGTH, TEMPLATE
from inference_backend.installation.layout import Layout
from inference_backend.torchvision_import import make_torchvision_importable
from inference_backend.vila_m3.templates import choose_template
from VILAM3SlicerLib.protocol.errors import CheckpointError

FETCH = "python3 setup_backend.py demo"

END_OF_TURN = "<|im_end|>"
"""SmolLM2's name for token 2. The template ends turns with ``</s>``, so the token gets that name."""


def language_file() -> Path:
    """The packed weights, where the set-up put them.

    Raises:
        CheckpointError: the set-up has not fetched them.
    """
    path = Layout(CHECKOUT).language_model
    _require_file(path)
    return path


def load_language_base(path: Path) -> Any:
    """The model unpacked from a GGUF file, a ``LlamaForCausalLM`` in float32 (4-bit weights, only widened).

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    _require_file(path)
    try:
        return read_llama(path)
    except (OSError, ValueError, KeyError, IndexError, RuntimeError) as error:
        raise CheckpointError(
            f"{path.name} cannot be read: {error}", f"Delete {path}, then run: {FETCH} (it is fetched again)."
        ) from error


def save_tokenizer(path: Path, folder: Path) -> None:
    """Write the tokenizer in a GGUF file to a folder, its end-of-turn token named as in the template."""
    make_torchvision_importable()
    from transformers import AutoTokenizer

    _require_file(path)
    AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name).save_pretrained(folder)
    (folder / "chat_template.jinja").unlink(missing_ok=True)  # the template is vicuna_v1
    stop = choose_template(TEMPLATE, False).stop
    for name in ("tokenizer.json", "tokenizer_config.json"):
        text = (folder / name).read_text(encoding="utf-8")
        renamed = text.replace(json.dumps(END_OF_TURN), json.dumps(stop))
        (folder / name).write_text(renamed, encoding="utf-8")


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise CheckpointError(
            f"The language model's file {path} is missing.", f"Run: {FETCH} (it fetches it)."
        )


def language_config(model: Any) -> dict[str, Any]:
    """config.json of llm/, with the released checkpoints' own key for the context length."""
    config: dict[str, Any] = model.config.to_dict()
    config.pop("_name_or_path", None)  # a folder of this machine
    return {
        **config,
        "architectures": ["LlamaForCausalLM"],
        "dtype": "bfloat16",
        "tokenizer_model_max_length": CONTEXT_LENGTH,
    }
