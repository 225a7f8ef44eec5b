"""Trains the demo model: ``python -m inference_backend.demo_model.training --output DIR --seed 7``.

Fetches the scans, trains the vision tower, then the adapter and the projector, builds the checkpoint,
measures it and writes weights, metrics.json and MODEL_CARD.md. About two hours on two idle CPU cores.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from inference_backend.demo_model import layout
from inference_backend.demo_model.build import build
from inference_backend.demo_model.language_base import language_file, load_language_base, save_tokenizer
from inference_backend.demo_model.training import artefacts, memory
from inference_backend.demo_model.training.evaluate import measure
from inference_backend.demo_model.training.model_card import render_model_card
from inference_backend.demo_model.training.pictures import (
    CONVERSATION_PICTURES,
    TRAINING_PICTURES,
    Pictures,
    draw_pictures,
    feature_pool,
)
from inference_backend.demo_model.training.sources import fetch_packages
from inference_backend.demo_model.training.train_language import (
    LanguagePlan,
    PackReader,
    draw_packs,
    train_language,
    with_adapter,
)
from inference_backend.demo_model.training.train_vision import score_vision_tower, train_vision_tower
from inference_backend.vila_m3.projector import Projector
from inference_backend.vila_m3.tokenizer import open_tokenizer

DATA_FOLDER = Path(".cache") / "data" / "vision"
VISION_EPOCHS = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parse_arguments(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    fetch_packages(options.data)
    count = CONVERSATION_PICTURES if options.keep_vision else TRAINING_PICTURES
    pictures = draw_pictures(options.data, options.seed, count)
    vision = _train_or_keep_vision(pictures, options)
    plan = LanguagePlan(seed=options.seed, steps=options.steps, learning_rate=options.learning_rate)
    _train_language(pictures, options.output, plan, options.go_on)
    metrics = {
        "seed": options.seed,
        "language_steps": options.steps,
        "training_minutes": round((time.monotonic() - started) / 60),
        "vision": vision,
    }
    write_measured(options.output, metrics, pictures)
    return 0


def _train_or_keep_vision(pictures: Pictures, options: argparse.Namespace) -> dict[str, Any]:
    if not options.keep_vision:
        return _train_vision(pictures, options.output, options.seed)
    measured = json.loads((options.output / layout.METRICS_FILE).read_text(encoding="utf-8"))
    kept: dict[str, Any] = measured["vision"]
    return kept


def _train_vision(pictures: Pictures, output: Path, seed: int) -> dict[str, Any]:
    reader = train_vision_tower(pictures.training, VISION_EPOCHS, seed, _report)
    artefacts.save_weights(reader.tower, output / layout.VISION_TOWER_FILE)
    return score_vision_tower(reader, pictures.held_out).as_json()


def _train_language(pictures: Pictures, output: Path, plan: LanguagePlan, go_on: bool) -> None:
    memory.keep_freed_memory()
    torch.manual_seed(plan.seed)
    tower = artefacts.load_vision_tower(output / layout.VISION_TOWER_FILE)
    features, scenes = feature_pool(tower, pictures.training)
    base = load_language_base(language_file()).to(torch.bfloat16)
    language_model = with_adapter(base, output / layout.ADAPTER_FOLDER if go_on else None)
    projector = Projector(layout.VISION_TOWER["hidden_size"], layout.HIDDEN_SIZE)
    if go_on:
        projector.load_state_dict(load_file(output / layout.PROJECTOR_FILE))
    with tempfile.TemporaryDirectory() as folder:
        save_tokenizer(language_file(), Path(folder))
        packs = draw_packs(open_tokenizer(Path(folder)), scenes, plan.branch_slots, plan.seed)
        train_language(PackReader(language_model, projector, features), packs, plan, _report)
    artefacts.save_adapter(language_model, output / layout.ADAPTER_FOLDER)
    artefacts.save_weights(projector, output / layout.PROJECTOR_FILE)


def write_measured(output: Path, metrics: dict[str, Any], pictures: Pictures) -> None:
    """Build the checkpoint from what was trained, measure it, write metrics.json and the card."""
    (output / layout.MODEL_CARD_FILE).touch()
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder) / "checkpoint", resources=output)
        metrics |= {"language": measure(Path(folder) / "checkpoint", pictures.held_out, _report)}
    (output / layout.METRICS_FILE).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    (output / layout.MODEL_CARD_FILE).write_text(render_model_card(metrics), encoding="utf-8")


def _report(text: str) -> None:
    print(text, flush=True)


def _parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="inference_backend.demo_model.training", description=__doc__)
    parser.add_argument("--output", type=Path, default=layout.RESOURCES, help="folder for what was trained")
    parser.add_argument("--data", type=Path, default=DATA_FOLDER, help="folder for the fetched scans")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--steps", type=int, default=LanguagePlan().steps, help="steps of the language model")
    parser.add_argument("--learning-rate", type=float, default=LanguagePlan().learning_rate)
    parser.add_argument("--go-on", action="store_true", help="start from the adapter and projector there")
    parser.add_argument("--keep-vision", action="store_true", help="keep the vision tower that is there")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
