"""Bringing a checkpoint's weights into memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from inference_backend.vila_m3.checkpoint import COPY_AGAIN, Checkpoint, Part, read_checkpoint
from inference_backend.vila_m3.images import image_preprocessor
from inference_backend.vila_m3.model import VilaM3Model
from inference_backend.vila_m3.precision import Precision
from inference_backend.vila_m3.projector import Projector
from inference_backend.vila_m3.quantisation import compute_dtype, quantisation_config, read_precision
from inference_backend.vila_m3.templates import choose_template
from inference_backend.vila_m3.tokenizer import open_tokenizer
from inference_backend.weights.permission import require_consent
from VILAM3SlicerLib.protocol.errors import CheckpointError, ModelError

_LOADING_ERRORS = (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError)
"""What transformers raises over files that it cannot use."""


def load_model(
    folder: str | Path,
    device: str | torch.device = "cpu",
    precision: Precision | str = Precision.FP32,
) -> VilaM3Model:
    """Load a checkpoint folder; each tensor goes from its file straight to the device.

    Args:
        folder: in the released layout, see :mod:`inference_backend.vila_m3.checkpoint`.
        device: as torch names it ("cpu", "cuda", "cuda:1", "mps").
        precision: how the weights are kept, see :class:`Precision`.

    Raises:
        ConsentNeeded: it is one of the catalogue's, and its licence was not accepted on this machine.
        CheckpointError: the folder is damaged or of another architecture.
        ModelError: the device is not there or has too little memory, or bitsandbytes is missing.
        InvalidRequest: the precision's name is unknown.
    """
    chosen = read_precision(precision)
    require_consent(Path(folder))
    checkpoint = read_checkpoint(folder)
    tokenizer = open_tokenizer(checkpoint.llm.folder)
    template = choose_template(
        checkpoint.config.get("conversation_template"), tokenizer.has_token("<|start_header_id|>")
    )
    preprocessor = image_preprocessor(checkpoint)
    place = _usable_device(device)
    dtype = compute_dtype(chosen, place)
    vision_tower, llm = _load_transformers(checkpoint, place, dtype, quantisation_config(chosen, dtype))
    return VilaM3Model(
        checkpoint=checkpoint,
        tokenizer=tokenizer,
        template=template,
        preprocessor=preprocessor,
        vision_tower=vision_tower,
        projector=_load_projector(checkpoint, place, dtype),
        llm=llm,
        precision=chosen,
    )


def _usable_device(device: str | torch.device) -> torch.device:
    try:
        place = torch.device(device)
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"The device {str(device)!r} cannot be used: {reason}", "Use the device 'cpu'."
        ) from error
    return place


def _load_transformers(
    checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype, quantisation: Any
) -> tuple[Any, Any]:
    # transformers takes seconds to import: only once the folder is known to be good.
    from inference_backend.vila_m3.transformers_parts import LlamaForCausalLM, SiglipVisionModel

    return (
        _load_part(SiglipVisionModel, checkpoint.vision_tower, device, dtype),
        _load_part(LlamaForCausalLM, checkpoint.llm, device, dtype, quantisation),
    )


def _load_part(
    model_class: Any, part: Part, device: torch.device, dtype: torch.dtype, quantisation: Any = None
) -> Any:
    from huggingface_hub.errors import StrictDataclassError

    try:
        with _without_progress_bars():
            model, report = model_class.from_pretrained(
                part.folder,
                dtype=dtype,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                device_map={"": device},
                quantization_config=quantisation,
            )
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"{device} has too little memory for the model.",
            "Choose a smaller precision (int8 or nf4) or a smaller checkpoint, or free memory on the device.",
            "out_of_memory",
        ) from error
    except (*_LOADING_ERRORS, StrictDataclassError) as error:
        raise CheckpointError(f"{part.folder.name}/ cannot be loaded: {error}", COPY_AGAIN) from error
    wrong = sorted({*report["missing_keys"], *report["unexpected_keys"]})
    if wrong:
        raise CheckpointError(
            f"The weights in {part.folder.name}/ do not fit: {', '.join(wrong[:3])}.", COPY_AGAIN
        )
    return model.eval().requires_grad_(False)


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    import transformers

    logging: Any = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _load_projector(checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype) -> Projector:
    projector = Projector(
        int(checkpoint.vision_tower.config["hidden_size"]), int(checkpoint.llm.config["hidden_size"])
    )
    try:
        for path in checkpoint.projector.weight_files:
            projector.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"The projector's weights do not fit: {error}", COPY_AGAIN) from error
    return projector.to(device=device, dtype=dtype).eval().requires_grad_(False)
