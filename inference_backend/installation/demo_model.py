"""The step that builds the demo model out of the language model and what this repository trained."""

from __future__ import annotations

from collections.abc import Iterator

from inference_backend.installation.layout import Layout
from inference_backend.installation.processes import run_quietly
from inference_backend.installation.progress import Progress
from inference_backend.installation.steps import Step, file_digest


def demo_model_step(layout: Layout) -> Step:
    """Merge the adapter, the vision tower and the projector into a checkpoint of the released layout."""
    return Step(
        title="Building the demo model",
        marker=layout.markers / "demo_model",
        inputs=lambda: _inputs(layout),
        action=lambda progress: build(layout, progress),
        products=(layout.demo_model / "config.json",),
        disk_bytes=1_500_000_000,
    )


def build(layout: Layout, progress: Progress) -> None:
    """Run the builder in the virtual environment."""
    module = [str(layout.python), "-m", "inference_backend.demo_model.build"]
    options = ["--output", str(layout.demo_model), "--gguf", str(layout.language_model), "--progress"]
    run_quietly([*module, *options], lambda line: progress.update(_shown(line)), progress.update)


def _shown(line: str) -> str:
    """The builder's line ``PROGRESS 0.4 Reading`` as a person reads it; nothing for what libraries print."""
    word, _, rest = line.partition(" ")
    fraction, _, text = rest.partition(" ")
    return f"{float(fraction):.0%} {text}" if word == "PROGRESS" else ""


def _inputs(layout: Layout) -> Iterator[str]:
    """Everything that changes the built checkpoint: the trained parts and the code that joins them."""
    trained = (layout.root / "Resources" / "demo_model").rglob("*")
    code = (layout.root / "inference_backend" / "demo_model").glob("*.py")
    for path in sorted([*trained, *code]):
        if path.is_file() and path.suffix != ".md":
            yield f"{path.name} {file_digest(path)}"
