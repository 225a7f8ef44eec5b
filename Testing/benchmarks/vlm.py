"""The demo model's speed, next to plain ``generate`` of transformers on the same weights; prints a table.

python Testing/benchmarks/vlm.py [CHECKPOINT]
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import torch
from PIL import Image

from inference_backend.conversation.interfaces import Message
from inference_backend.conversation.model_cards import compose_cards
from inference_backend.conversation.prompting import compose
from inference_backend.experts.ct_tissue import create
from inference_backend.vila_m3.engine import VilaM3Engine
from inference_backend.vila_m3.sampling import GenerationSettings

DEMO_MODEL = Path(__file__).resolve().parents[2] / ".cache" / "demo_model"
TOKENS = 60
ROW = "{:<44}{:>12}{:>12}{:>12}"


def main(folder: Path) -> None:
    """Time a first question, the same cards with another question, and plain generate."""
    start = time.perf_counter()
    engine = VilaM3Engine(folder)
    print(f"{engine.description.name}, {torch.get_num_threads()} threads, {engine.description.dtype}")
    print(f"loaded in {time.perf_counter() - start:.1f} s (imports apart)")
    print(ROW.format("", "tokens", "first, ms", "tokens/s"))
    first, second = (
        conversation(question) for question in ("Segment the lungs.", "How large is the left lung?")
    )
    print_row("first question", *timed(engine, first))
    print_row("another question, cards and image read", *timed(engine, second))
    print_row("plain generate, nothing kept", *plain_generate(engine, second))
    print(f"peak memory of this process: {psutil.Process().memory_info().rss / 1e6:.0f} MB")


def conversation(question: str) -> list[Message]:
    """A question about a slice, worded as the product does."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (512, 512), dtype=np.uint8)).save(buffer, "PNG")
    return compose([Message("user", question, (buffer.getvalue(),))], compose_cards([create().card]), "CT")


def timed(engine: VilaM3Engine, messages: list[Message]) -> tuple[int, float, float]:
    """Tokens of the prompt, seconds to the first token, tokens per second after it."""
    start = time.perf_counter()
    reply = engine.reply(messages, GenerationSettings(max_new_tokens=TOKENS))
    pieces: Iterator[str] = iter(reply)
    next(pieces)
    first = time.perf_counter() - start
    for _ in pieces:
        pass
    count = reply.usage.completion_tokens
    return reply.usage.prompt_tokens, first, (count - 1) / (time.perf_counter() - start - first)


def plain_generate(engine: VilaM3Engine, messages: list[Message]) -> tuple[int, float, float]:
    """What transformers' own generate takes, the vision tower included."""
    model = engine.model

    def generate(tokens: int) -> float:
        start = time.perf_counter()
        ids = model.input_ids(model.prompt(messages))
        images = [Image.open(io.BytesIO(image)) for message in messages for image in message.images]
        embeds = model.inputs_embeds(ids, model.image_features(images))
        model.llm.generate(
            inputs_embeds=embeds[None],
            attention_mask=torch.ones(1, len(embeds), dtype=torch.long),
            min_new_tokens=tokens,
            max_new_tokens=tokens,
            do_sample=False,
            pad_token_id=0,
        )
        return time.perf_counter() - start

    first, whole = generate(1), generate(TOKENS)
    return engine.measure(messages), first, (TOKENS - 1) / (whole - first)


def print_row(name: str, tokens: int, first: float, rate: float) -> None:
    """One line of the table."""
    print(ROW.format(name, tokens, f"{first * 1000:.0f}", f"{rate:.1f}"))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DEMO_MODEL)
