"""Expert-guided instruction tuning of the small language model: a LoRA adapter and the projector."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from inference_backend.demo_model.training import packed_attention
from inference_backend.demo_model.training.dialogues import DialogueMaker
from inference_backend.demo_model.training.packing import Pack, Sequence1D, common_prefix, pack, tokenise
from inference_backend.demo_model.training.scenes import Scene, draw_scene, with_another_view
from inference_backend.demo_model.training.two_cores import TwoCores
from inference_backend.vila_m3.projector import Projector
from inference_backend.vila_m3.tokenizer import Tokenizer

LORA_RANK = 16
LORA_ALPHA = 32
LORA_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
WARMUP_STEPS = 8
MAX_GRADIENT_NORM = 1.0
VARIED_PACKS = 0.6
"""So many packs have another image in each conversation, so that the cards are chosen by its modality."""


@dataclass(frozen=True)
class LanguagePlan:
    """How long and how fast to train. A step reads two packs, one on each core."""

    steps: int = 560
    branch_slots: int = 640
    learning_rate: float = 1e-3
    seed: int = 7


class PackReader(nn.Module):
    """Language model with adapter, and projector: the loss of a pack."""

    def __init__(
        self, language_model: Any, projector: Projector, features: Mapping[bytes, torch.Tensor]
    ) -> None:
        """``features``: by image key, (patches, vision channels); the vision tower itself is done.

        A language model whose frozen weights are bfloat16 is computed in bfloat16, what is trained kept in
        float32: where the processor has instructions for it a step takes half the time.
        """
        super().__init__()
        self.language_model = language_model
        self._low_precision = any(weight.dtype is torch.bfloat16 for weight in language_model.parameters())
        self.projector = projector
        self._features = features

    def forward(self, packed: Pack) -> torch.Tensor:
        """Mean loss over the learned tokens."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self._low_precision):
            return self._loss(packed)

    def _loss(self, packed: Pack) -> torch.Tensor:
        llama = self.language_model.get_base_model()
        hidden = llama.model(
            inputs_embeds=self.embeds(packed)[None],
            position_ids=packed.positions[None],
            use_cache=False,
            segments=packed.segments,
        ).last_hidden_state[0]
        logits = llama.lm_head(hidden[packed.predicted_from])
        return nn.functional.cross_entropy(logits, packed.targets)

    def embeds(self, packed: Pack) -> torch.Tensor:
        """(length, hidden size): text embeddings, projected features where images stand."""
        table = self.language_model.get_input_embeddings()
        ids = torch.tensor([slot if isinstance(slot, int) else 0 for slot in packed.slots])
        embeds: torch.Tensor = table(ids)
        keys = list(dict.fromkeys(slot[0] for slot in packed.slots if not isinstance(slot, int)))
        if not keys:
            return embeds
        projected = self.projector(torch.stack([self._features[key] for key in keys]))
        places = [index for index, slot in enumerate(packed.slots) if not isinstance(slot, int)]
        rows = [projected[keys.index(slot[0]), slot[1]] for slot in packed.slots if not isinstance(slot, int)]
        return embeds.index_put((torch.tensor(places),), torch.stack(rows).to(embeds.dtype))


def with_adapter(language_model: Any, trained_before: Path | None = None) -> Any:
    """The language model with a LoRA adapter, fresh or from a folder; all else is frozen."""
    from peft import LoraConfig, PeftModel, get_peft_model

    packed_attention.register()
    language_model.set_attn_implementation(packed_attention.NAME)
    if trained_before is not None:
        return PeftModel.from_pretrained(language_model, trained_before, is_trainable=True)
    config = LoraConfig(
        r=LORA_RANK, lora_alpha=LORA_ALPHA, target_modules=list(LORA_LAYERS), task_type="CAUSAL_LM"
    )
    return get_peft_model(language_model, config)


def draw_packs(tokenizer: Tokenizer, images: Sequence[Scene], branch_slots: int, seed: int) -> Iterator[Pack]:
    """Endless packs, each about one scene, with about so many slots behind the common prefix."""
    random = np.random.default_rng(seed)
    while True:
        scene = draw_scene(random, images)
        views_differ = random.random() < VARIED_PACKS
        sequences: list[Sequence1D] = []
        while len(sequences) < 2 or _behind_prefix(sequences) < branch_slots:
            shown = with_another_view(scene, random, images) if views_differ else scene
            sequences.append(tokenise(DialogueMaker(shown, random).draw(), tokenizer))
        yield pack(sequences)


def _behind_prefix(sequences: Sequence[Sequence1D]) -> int:
    prefix = common_prefix(sequences)
    return sum(len(sequence.slots) - prefix for sequence in sequences)


def train_language(
    reader: PackReader, packs: Iterator[Pack], plan: LanguagePlan, report: Callable[[str], None]
) -> None:
    """Train the adapter and the projector in place."""
    trained = [parameter for parameter in reader.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=plan.learning_rate, weight_decay=0.0, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, plan.steps))
    started, running = time.monotonic(), 0.0
    with TwoCores(trained) as cores:
        for step in range(plan.steps):
            loss = cores.set_mean_gradients([partial(reader, next(packs)) for _ in range(2)])
            nn.utils.clip_grad_norm_(trained, MAX_GRADIENT_NORM)
            optimizer.step()
            schedule.step()
            running = 0.95 * running + 0.05 * loss if step else loss
            if step % 5 == 0:
                seconds = time.monotonic() - started
                report(f"language step {step}/{plan.steps}, loss {running:.3f}, {seconds:.0f} s")


def _rate(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine down to a twentieth."""
    if step < WARMUP_STEPS:
        return (step + 1) / WARMUP_STEPS
    progress = (step - WARMUP_STEPS) / max(steps - WARMUP_STEPS, 1)
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * progress))
