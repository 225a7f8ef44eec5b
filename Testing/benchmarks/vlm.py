"""Speed of the model: our engine, plain ``generate`` on the same weights, and the bound of the memory.

    python Testing/benchmarks/vlm.py [--shape demo demo-196 tiny 3b 8b 13b] [--precision bf16] [--device cuda]

``demo`` is the demo model in .cache/demo_model, ``demo-196`` the same with 196 tokens an image, as the
released ones have; the others have the released shapes (``tiny`` a small one) with random weights, made here,
so that no download is needed. The rows alternate and are given as medians; with OMP_NUM_THREADS=1 on a CPU,
computing time is measured, so that a busy machine matters less. "Cards read ahead" is a session's first
question where the backend had a moment before it; "as told" is what the tokens left to read would take.
``generate`` reads everything from the beginning for each question, as the original does. The bound is what
reading all weights once for each token takes.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
import psutil
import torch
from PIL import Image

from inference_backend.conversation.interfaces import Message
from inference_backend.conversation.model_cards import PUBLISHED_CARDS, compose_cards
from inference_backend.conversation.prompting import Wording, beginning, compose
from inference_backend.runtime.memory_ledger import MemoryLedger
from inference_backend.vila_m3.engine import VilaM3Engine
from inference_backend.vila_m3.image_memory import png_bytes
from inference_backend.vila_m3.messages import open_image
from inference_backend.vila_m3.precision import Precision
from inference_backend.vila_m3.sampling import GenerationSettings
from Testing.benchmarks.random_checkpoint import SHAPES, write_random_checkpoint, write_with_random_eyes

DEMO_MODEL = Path(__file__).resolve().parents[2] / ".cache" / "demo_model"
DEMO_WITH_196 = "demo-196"
ROW = "{:<10}{:<26}{:>7}{:>8}{:>8}{:>12}{:>12}{:>9}{:>9}{:>10}"
HEAD = (
    "shape",
    "",
    "images",
    "prompt",
    "reused",
    "first, ms",
    "as told, ms",
    "tok/s",
    "of bound",
    "peak, GB",
)


def clock() -> float:
    """Seconds; with one thread on a CPU those that this process computed, so that others do not matter."""
    alone = torch.get_num_threads() == 1 and not torch.cuda.is_available()
    return time.process_time() if alone else time.perf_counter()


@dataclass
class Figures:
    """Measurements of one row; seconds, tokens a second, bytes."""

    prompt: int = 0
    reused: int = 0
    first: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    peak: int = 0


def main() -> None:
    """Measure what the command line asks for."""
    options = parse_arguments()
    bandwidth = memory_bandwidth(options.device)
    name = torch.cuda.get_device_name() if options.device == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"{options.device} ({name}), {options.precision}, torch {torch.__version__}")
    print(f"reads {bandwidth / 1e9:.0f} GB/s; {options.tokens} tokens, medians of {options.repeats}")
    print(ROW.format(*HEAD))
    for shape in options.shape:
        with checkpoint_of(shape) as folder:
            measure_shape(shape, folder, options, bandwidth)


def measure_shape(shape: str, folder: Path, options: argparse.Namespace, bandwidth: float) -> None:
    """The rows of one shape."""
    start = clock()
    engine = VilaM3Engine(
        folder, options.device, options.precision, lambda _: MemoryLedger(2 * 1024**3).account("warm")
    )
    seconds = clock() - start
    size = weight_bytes(engine)
    bound = bandwidth / size
    print(ROW.format(shape, f"bound ({size / 1e9:.2f} GB)", "", "", "", "", "", f"{bound:.1f}", "", ""))
    for images in options.images:
        cold, ahead, warm, plain = Figures(), Figures(), Figures(), Figures()
        question = conversation(engine, images, "Segment the lungs.")
        other = conversation(engine, images, "How large is the left lung?")
        for _ in range(options.repeats):
            engine.forget()
            with peak_of(engine, cold):
                run_engine(engine, question, options.tokens, cold)
            with peak_of(engine, warm):
                run_engine(engine, other, options.tokens, warm)
            engine.forget()
            with peak_of(engine, plain):
                run_generate(engine, other, options.tokens, plain)
            engine.forget()
            engine.read_ahead(beginning(compose_cards(PUBLISHED_CARDS)))
            with peak_of(engine, ahead):
                run_engine(engine, question, options.tokens, ahead)
        print_row(shape, "first question", images, cold, bound)
        print_row(shape, "cards read ahead", images, ahead, bound, expected=as_told(ahead, cold))
        print_row(shape, "next one, prefix kept", images, warm, bound, expected=as_told(warm, cold))
        print_row(shape, "plain generate", images, plain, bound)
    print(f"{'':<10}loaded and prepared in {seconds:.1f} s", flush=True)
    del engine
    gc.collect()


def as_told(figures: Figures, cold: Figures) -> float:
    """Seconds to the first token if reading took as long for each token as it does without a prefix."""
    return median(cold.first) * (figures.prompt - figures.reused) / max(cold.prompt, 1)


def conversation(engine: VilaM3Engine, images: int, question: str) -> list[Message]:
    """A question with the published cards, worded as the product does."""
    noise = np.random.default_rng(0).integers(0, 255, (images, 512, 512), dtype=np.uint8)
    pictures = tuple(png_bytes(Image.fromarray(picture)) for picture in noise)
    layout = engine.description.prompt_layout
    wording = Wording(compose_cards(PUBLISHED_CARDS), "CT", layout=layout)
    return compose([Message("user", question, pictures)], wording)


def run_engine(engine: VilaM3Engine, messages: list[Message], tokens: int, figures: Figures) -> None:
    """One reply of our engine."""
    model = engine.model
    # Sampled, so that random weights do not go round in circles, which would end the reply.
    settings = GenerationSettings(max_new_tokens=tokens, min_new_tokens=tokens, temperature=1.0, seed=0)
    start = clock()
    reply = engine.reply(messages, settings)
    ids = reply.generated_ids()
    next(ids)
    first = clock()
    count = 1 + sum(1 for _ in ids)
    synchronize(model.device)
    figures.first.append(first - start)
    figures.rate.append((count - 1) / (clock() - first))
    figures.prompt, figures.reused = reply.usage.prompt_tokens, reply.usage.reused_tokens


def run_generate(engine: VilaM3Engine, messages: list[Message], tokens: int, figures: Figures) -> None:
    """What transformers' own generate takes from the message on, the vision tower included."""
    model = engine.model

    def generate(count: int) -> float:
        start = clock()
        ids = model.input_ids(model.prompt(messages))
        pictures = [open_image(image) for message in messages for image in message.images]
        embeds = model.inputs_embeds(ids, model.image_features(pictures))
        model.llm.generate(
            inputs_embeds=embeds[None],
            attention_mask=torch.ones(1, len(embeds), dtype=torch.long, device=model.device),
            min_new_tokens=count,
            max_new_tokens=count,
            do_sample=False,
            pad_token_id=0,
        )
        synchronize(model.device)
        return clock() - start

    first, whole = generate(1), generate(tokens)
    figures.first.append(first)
    figures.rate.append((tokens - 1) / (whole - first))
    figures.prompt = engine.measure(messages)


def print_row(
    shape: str, name: str, images: int, figures: Figures, bound: float, *, expected: float | None = None
) -> None:
    """One line of the table; ``expected`` is the first row's time, for the tokens that are left to read."""
    rate = median(figures.rate)
    numbers = (f"{median(figures.first) * 1000:.0f}", "" if expected is None else f"{expected * 1000:.0f}")
    told = (f"{rate:.1f}", f"{rate / bound:.0%}", f"{figures.peak / 1e9:.2f}")
    print(ROW.format(shape, name, images, figures.prompt, figures.reused, *numbers, *told), flush=True)


def weight_bytes(engine: VilaM3Engine) -> int:
    """What a token reads: the language model without the embedding table, unless that is the output layer."""
    llm = engine.model.llm
    size = sum(int(parameter.nbytes) for parameter in llm.parameters())
    return size if llm.config.tie_word_embeddings else size - int(llm.get_input_embeddings().weight.nbytes)


def memory_bandwidth(device: str) -> float:
    """Bytes that the device reads in a second: a long array summed, the best of several times."""
    count = 2**30 if device == "cuda" else 2**26
    array = torch.ones(count // 4, device=device)
    best = min(timed(array.sum, device) for _ in range(8))
    return array.nbytes / best


def timed(work: Callable[[], object], device: str) -> float:
    """Seconds that some work takes."""
    synchronize(torch.device(device))
    start = clock()
    work()
    synchronize(torch.device(device))
    return clock() - start


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()


@contextmanager
def peak_of(engine: VilaM3Engine, figures: Figures) -> Iterator[None]:
    """The most memory taken meanwhile: of the GPU, or of this process as it is at the end."""
    if engine.model.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    yield
    on_gpu = engine.model.device.type == "cuda"
    now = torch.cuda.max_memory_allocated() if on_gpu else psutil.Process().memory_info().rss
    figures.peak = max(figures.peak, now)


@contextmanager
def checkpoint_of(shape: str) -> Iterator[Path]:
    """The demo model, or random weights of a shape."""
    if shape == "demo":
        yield DEMO_MODEL
        return
    with tempfile.TemporaryDirectory() as folder:
        if shape == DEMO_WITH_196:
            write_with_random_eyes(Path(folder), DEMO_MODEL)
        else:
            write_random_checkpoint(Path(folder), SHAPES[shape])
        yield Path(folder)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    on_cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description="Speed of the model.")
    usual = "8b" if on_cuda else "demo"
    parser.add_argument("--shape", nargs="+", choices=("demo", DEMO_WITH_196, *SHAPES), default=[usual])
    parser.add_argument("--device", default="cuda" if on_cuda else "cpu")
    parser.add_argument("--precision", type=Precision, default=Precision.BF16 if on_cuda else Precision.FP32)
    parser.add_argument("--images", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
