"""VISTA3D on a whole CT next to the bundle's own inference: time, device memory, and whether labels agree.

    python -m Testing.benchmarks.experts --device cuda

Without ``--weights`` the network has random weights of the released size: time and memory are the real ones,
Dice against a reference would mean nothing. The size of the scan is that of a 512x512x300 CT of 0.75 mm
pixels and 1.0 mm slices; ``--quick`` takes a small network and scan, to see that the program runs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inference_backend.experts.interface import ExpertRequest
from inference_backend.experts.precision import half_precision
from inference_backend.experts.vista3d.expert import Vista3d
from inference_backend.experts.vista3d.model import Vista3dModel
from inference_backend.experts.weights import WeightsAt
from inference_backend.imaging.volume import Volume
from Testing.inference_backend.experts.vista3d.bundle import write_bundle

GIB = 1024**3
EVERYTHING = sorted(set(range(1, 133)) - {2, 16, 18, 20, 21, *range(23, 28), *range(128, 133)})


@dataclass(frozen=True)
class Measured:
    """Seconds, peak device memory in bytes (None on a CPU), and labels on the scan's grid."""

    seconds: float
    peak: int | None
    labels: Any


def phantom(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Volume:
    """A body of soft tissue with fat, bone and two lungs, in Hounsfield units."""
    grid = np.indices(shape, np.float32)
    x, y, _ = (2 * axis / (size - 1) - 1 for axis, size in zip(grid, shape, strict=True))
    voxels = np.full(shape, -1000, np.int16)
    voxels[x**2 / 0.8 + y**2 / 0.5 < 1] = -90
    voxels[x**2 / 0.7 + y**2 / 0.4 < 1] = 40
    voxels[(np.abs(x) - 0.4) ** 2 / 0.06 + y**2 / 0.15 < 1] = -850
    voxels[x**2 + (y + 0.45) ** 2 < 0.01] = 500
    return Volume(np.asfortranarray(voxels), np.diag([*spacing, 1.0]))


def measured(device: str, work: Callable[[], Any]) -> Measured:
    """Run once to warm up, once to measure."""
    on_gpu = device.startswith("cuda")
    if on_gpu:
        work()
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
    started = time.perf_counter()
    labels = work()
    if on_gpu:
        torch.cuda.synchronize()
    peak = torch.cuda.max_memory_allocated() if on_gpu else None
    return Measured(time.perf_counter() - started, peak, labels)


def ours(expert: Vista3d, volume: Volume) -> Any:
    request = ExpertRequest("everything", volume)
    return expert.run(request, lambda fraction, words: None, lambda: False).labelmap.voxels


def the_bundles(model: Vista3dModel, volume: Volume) -> Any:
    """What the published bundle does with an image: its inferer, postprocessing and inverse."""
    from monai.apps.vista3d.transforms import VistaPostTransformd
    from monai.inferers import SlidingWindowInfererAdapt

    prepared = model.prepare(volume)
    prompts = torch.tensor(model.everything, device=model.device)[:, None]
    inferer = SlidingWindowInfererAdapt(model.windows.size, sw_batch_size=1, with_coord=True)
    with torch.no_grad(), half_precision(model.device):
        logits = inferer(
            prepared.tensor[None], model.network, transpose=True, class_vector=prompts, prompt_class=prompts
        )[0]
    labels = VistaPostTransformd("pred")({"pred": logits, "label_prompt": prompts})["pred"]
    return prepared.labels_on_source(torch.as_tensor(labels)[0])


def bundle(folder: Path, quick: bool) -> Path:
    """Random weights in the released layout, of the released size unless ``quick``."""
    write_bundle(folder, width=8 if quick else 48)
    file = folder / "configs" / "inference.json"
    settings = json.loads(file.read_text())
    if not quick:
        settings.update(everything_labels=EVERYTHING, patch_size=[128, 128, 128])
    file.write_text(json.dumps(settings))
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--weights", type=Path, help="a released bundle; random weights without it")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    shape, spacing = ((64, 56, 48), (1.5,) * 3) if options.quick else ((512, 512, 300), (0.75, 0.75, 1.0))
    volume = phantom(shape, spacing)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.weights or bundle(Path(temporary) / "vista3d", options.quick)
        expert = Vista3d(WeightsAt(folder))
        expert.load(options.device)
        model = Vista3dModel(folder, options.device)
        fast = measured(options.device, lambda: ours(expert, volume))
        peer = measured(options.device, lambda: the_bundles(model, volume))
    print(f"VISTA3D everything, {'x'.join(map(str, shape))}, {options.device}, {torch.__version__}")
    for name, result in (("this program", fast), ("the bundle", peer)):
        peak = "-" if result.peak is None else f"{result.peak / GIB:.1f} GiB"
        print(f"{name:14} {result.seconds:9.1f} s  peak {peak}")
    print(f"{peer.seconds / fast.seconds:.1f} times the bundle; labels agree at", end=" ")
    print(f"{np.mean(fast.labels == peer.labels):.4%} of the voxels")


if __name__ == "__main__":
    main()
