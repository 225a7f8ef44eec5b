"""VISTA3D, everything on a whole CT, next to the bundle's own inference."""

from __future__ import annotations

import tempfile
from dataclasses import replace
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
from Testing.benchmarks.ct_tissue import read
from Testing.benchmarks.expert_table import Options, Row, mean_quality, measured
from Testing.inference_backend.experts.vista3d.anatomy import in_vista3d_labels, published_names
from Testing.inference_backend.experts.vista3d.bundle import RELEASED, write_bundle

GOLDEN = Path(__file__).resolve().parent.parent / "data" / "golden"


def rows(options: Options) -> list[Row]:
    """One line."""
    scan = _scan(options)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.weights.get("VISTA3D") or bundle(Path(temporary) / "vista3d", options.quick)
        expert = Vista3d(WeightsAt(folder))
        expert.load(options.device)
        model = Vista3dModel(folder, options.device)
        fast = measured(options.device, lambda: ours(expert, scan))
        peer = measured(options.device, lambda: the_bundles(model, scan))
    row = Row("VISTA3D", f"everything, {'x'.join(map(str, scan.voxels.shape))}", fast)
    same = float(np.mean(fast.labels == peer.labels))
    row = replace(row, peer_name="the bundle by MONAI", peer=peer, same=same)
    if "VISTA3D" not in options.weights:
        return [row]
    reference = _reference(options)
    reached, peers = (mean_quality(one.labels, reference, scan.spacing) for one in (fast, peer))
    return [replace(row, quality=reached, peer_quality=peers)]


def _scan(options: Options) -> Volume:
    if "VISTA3D" in options.weights:
        return read(options.data / "chest_ct" / "cxr.nii.gz")
    return phantom((64, 56, 48), (1.5,) * 3) if options.quick else phantom((512, 512, 300), (0.75, 0.75, 1.0))


def _reference(options: Options) -> np.ndarray[Any, Any]:
    """The chest CT's 89 structures in VISTA3D's numbering."""
    labels = read(options.data / "reference" / "chest_ct_labels.nii.gz").voxels
    structures = options.data / "reference" / "structures.csv"
    return in_vista3d_labels(labels, structures, published_names(GOLDEN))


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
    return write_bundle(folder) if quick else write_bundle(folder, width=48, **RELEASED)
