"""Builds the demo checkpoint: ``python -m inference_backend.demo_model.build --output DIR [--progress]``.

The language model comes from the set-up's data, what was trained from Resources/demo_model; the result is a
folder in the layout of the released checkpoints. It appears whole or not at all.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from inference_backend.demo_model import layout
from inference_backend.demo_model.language_base import (
    language_config,
    language_file,
    load_language_base,
    save_tokenizer,
)
from inference_backend.vila_m3.checkpoint import read_checkpoint
from VILAM3SlicerLib.protocol.errors import CheckpointError, OutOfSpace, VilaM3Error

NEEDED_BYTES = 320_000_000

ReportProgress = Callable[[float, str], None]


def build(
    output: Path,
    language: Path | None = None,
    resources: Path = layout.RESOURCES,
    report: ReportProgress = lambda fraction, text: None,
) -> None:
    """Write the checkpoint folder ``output``; an older one there is replaced once the new one is whole.

    Args:
        output: the folder.
        language: the GGUF file of SmolLM2-135M-Instruct; by default the one that the set-up fetched.
        resources: the folder with what was trained.
        report: told of the progress.

    Raises:
        OutOfSpace: the disk is too full.
        CheckpointError: a source file is missing or damaged.
    """
    report(0.0, "Looking for the parts")
    language = language or language_file()
    _require_resources(resources)
    output.parent.mkdir(parents=True, exist_ok=True)
    _require_space(output.parent)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        _write_parts(unfinished, language, resources, report)
        read_checkpoint(unfinished)
        _replace(output, unfinished)
    except OSError as error:
        raise OutOfSpace(
            f"The demo model cannot be written: {error}", "Free some disk space, then try again."
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    report(1.0, "The demo model is ready")


def _write_parts(folder: Path, language: Path, resources: Path, report: ReportProgress) -> None:
    report(0.05, "Writing vision tower and projector")
    _write_json(folder / "config.json", layout.checkpoint_config())
    _write_part(folder / "vision_tower", layout.vision_tower_config(), resources / layout.VISION_TOWER_FILE)
    _write_json(folder / "vision_tower" / "preprocessor_config.json", layout.PREPROCESSOR)
    _write_part(folder / "mm_projector", layout.projector_config(), resources / layout.PROJECTOR_FILE)
    shutil.copyfile(resources / layout.MODEL_CARD_FILE, folder / "README.md")
    report(0.1, "Unpacking the language model")
    model = load_language_base(language)
    report(0.6, "Adding what was trained")
    _write_language_model(folder / "llm", _merged(model, resources / layout.ADAPTER_FOLDER))
    report(0.85, "Writing the tokenizer")
    save_tokenizer(language, folder / "llm")


def _merged(model: Any, adapter: Path) -> Any:
    from peft import PeftModel

    return PeftModel.from_pretrained(model, adapter).merge_and_unload()


def _write_language_model(folder: Path, model: Any) -> None:
    import torch
    from safetensors.torch import save_file

    folder.mkdir()
    weights = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        weights.pop("lm_head.weight", None)  # is the embedding table
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    _write_json(folder / "config.json", language_config(model))


def _write_part(folder: Path, config: dict[str, Any], weights: Path) -> None:
    folder.mkdir()
    _write_json(folder / "config.json", config)
    shutil.copyfile(weights, folder / "model.safetensors")


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _require_resources(resources: Path) -> None:
    adapter = Path(layout.ADAPTER_FOLDER)
    for name in (
        layout.VISION_TOWER_FILE,
        layout.PROJECTOR_FILE,
        layout.MODEL_CARD_FILE,
        adapter / "adapter_config.json",
        adapter / "adapter_model.safetensors",
    ):
        if not (resources / name).is_file():
            raise CheckpointError(
                f"{resources / name} is missing.",
                "Check out the repository again; the demo model's weights belong to it.",
            )


def _require_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < NEEDED_BYTES:
        raise OutOfSpace(
            f"The demo model needs {NEEDED_BYTES // 1_000_000} MB on the disk of {folder}; "
            f"{free // 1_000_000} MB are free.",
            "Free some space, or choose another folder with --output.",
        )


def _replace(output: Path, finished: Path) -> None:
    """Put the finished folder in place; the old one goes only once the new one is there."""
    if not output.exists():
        finished.rename(output)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{output.name}-old-", dir=output.parent))
    output.rename(old / "replaced")
    finished.rename(output)
    shutil.rmtree(old, ignore_errors=True)


def _parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="inference_backend.demo_model.build", description="Build the demo model."
    )
    parser.add_argument("--output", type=Path, required=True, help="folder to write the checkpoint to")
    parser.add_argument(
        "--gguf", type=Path, help="SmolLM2-135M-Instruct.Q4_1.gguf, if not where the set-up puts it"
    )
    parser.add_argument(
        "--resources", type=Path, default=layout.RESOURCES, help="folder with what was trained"
    )
    parser.add_argument("--progress", action="store_true", help="print lines 'PROGRESS fraction text'")
    return parser.parse_args(arguments)


def _print_progress(fraction: float, text: str) -> None:
    print(f"PROGRESS {fraction:.2f} {text}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parse_arguments(arguments)
    try:
        report = _print_progress if options.progress else lambda fraction, text: None
        build(options.output, options.gguf, options.resources, report)
    except VilaM3Error as error:
        print(f"{error.message} {error.hint}".strip(), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
