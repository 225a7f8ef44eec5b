"""A VISTA3D bundle in the released layout, small and with random weights, and MONAI's own answer with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

EVERYTHING = [1, 3, 4, 5, 6, 15]
"""What ``everything_labels`` below says; the released bundle has 117."""

INFERENCE: dict[str, Any] = {
    "imports": ["$import copy", "$import scripts"],
    "image_key": "image",
    "image_file": "",
    "label_prompt": [1],
    "everything_labels": "$list(set([i+1 for i in range(132)]) - set([2] + list(range(7, 15))) - "
    "set(range(16, 133)))",
    "subclass": {"2": [14, 5], "20": [28, 29, 30, 31, 32], "21": "$list(range(33, 36)) + [114]"},
    "resample_spacing": [1.5, 1.5, 1.5],
    "patch_size": [32, 32, 32],
    "device": "$torch.device('cpu')",
    "network_def": "$monai.networks.nets.vista3d132(encoder_embed_dim=8)",
    "preprocessing_transforms": [
        {"_target_": "LoadImaged", "keys": "@image_key", "image_only": True},
        {"_target_": "EnsureChannelFirstd", "keys": "@image_key"},
        {"_target_": "EnsureTyped", "keys": "@image_key", "device": "@device", "track_meta": True},
        {"_target_": "Spacingd", "keys": "@image_key", "pixdim": "@resample_spacing", "mode": "bilinear"},
        {
            "_target_": "CropForegroundd",
            "keys": "@image_key",
            "allow_smaller": True,
            "margin": 10,
            "source_key": "@image_key",
        },
        {
            "_target_": "monai.apps.vista3d.transforms.VistaPreTransformd",
            "keys": "@image_key",
            "subclass": "@subclass",
        },
        {
            "_target_": "ScaleIntensityRanged",
            "keys": "@image_key",
            "a_min": -963.8247715525971,
            "a_max": 1053.678477684517,
            "b_min": 0,
            "b_max": 1,
            "clip": True,
        },
        {"_target_": "Orientationd", "keys": "@image_key", "axcodes": "RAS"},
        {"_target_": "CastToTyped", "keys": "@image_key", "dtype": "$torch.float32"},
    ],
    "preprocessing": {"_target_": "Compose", "transforms": "$@preprocessing_transforms"},
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "monai.apps.vista3d.transforms.VistaPostTransformd", "keys": "pred"},
            {
                "_target_": "Invertd",
                "keys": "pred",
                "transform": "$copy.deepcopy(@preprocessing)",
                "orig_keys": "@image_key",
                "nearest_interp": True,
                "to_tensor": True,
            },
        ],
    },
}


RELEASED: dict[str, Any] = {
    "everything_labels": "$list(set([i+1 for i in range(132)]) - set([2, 16, 18, 20, 21] + "
    "list(range(23, 28)) + list(range(128, 133))))",
    "subclass": {
        "2": [14, 5],
        "20": [28, 29, 30, 31, 32],
        "21": "$list(range(33, 57)) + list(range(63, 98)) + [114, 120, 122]",
    },
    "patch_size": [128, 128, 128],
}
"""The values of the released bundle (0.5.4) that are smaller above."""


def write_bundle(folder: Path, version: str = "0.5.4", width: int = 8, **settings: Any) -> Path:
    """The bundle's files with random weights; ``settings`` replace those of the configuration."""
    from monai.networks.nets import vista3d132

    torch.manual_seed(7)
    network = vista3d132(encoder_embed_dim=width)
    for name in ("configs", "models"):
        (folder / name).mkdir(parents=True)
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    (folder / "configs" / "inference.json").write_text(json.dumps({**INFERENCE, **settings}))
    (folder / "configs" / "metadata.json").write_text(json.dumps({"version": version}))
    return folder


class Answer:
    """What MONAI makes of an image file with a bundle: labels (I, J, K), and where they are beyond doubt."""

    def __init__(self, labels: np.ndarray, is_certain: np.ndarray) -> None:
        self.labels = labels
        self.is_certain = is_certain


def monais_answer(
    folder: Path, image: Path, prompts: list[int], padding: str = "constant", **points: Any
) -> Answer:
    """Run the bundle's configuration with MONAI's own parser, inferers and transforms."""
    from monai.apps.vista3d.inferer import point_based_window_inferer
    from monai.bundle import ConfigParser
    from monai.inferers import SlidingWindowInfererAdapt
    from monai.transforms import reset_ops_id

    settings = {key: value for key, value in INFERENCE.items() if key != "imports"}
    parser = ConfigParser({**settings, "imports": ["$import copy", "$import torch", "$import monai"]})
    network = parser.get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(folder / "models" / "model.pt", weights_only=True))
    preprocessing = parser.get_parsed_content("preprocessing")
    data = preprocessing({"image": str(image), "label_prompt": prompts or None, **points})
    shown = torch.tensor(data["label_prompt"])[:, None] if prompts else None
    keywords: dict[str, Any] = {"class_vector": shown, "prompt_class": shown, "transpose": True}
    size = parser.get_parsed_content("patch_size")
    with torch.no_grad():
        if points:
            original = np.asarray(data["image"].meta["original_affine"])
            affine = np.linalg.inv(data["image"].affine.numpy()) @ original
            voxels = np.c_[np.array(points["points"], float), np.ones(len(points["points"]))] @ affine.T
            kinds = torch.tensor([data["point_labels"]])
            coordinates = torch.from_numpy(voxels[None, :, :3])
            logits = point_based_window_inferer(
                data["image"][None], size, network, coordinates, kinds, **keywords
            )
            data = {**data, "points": coordinates, "point_labels": kinds}
        else:
            inferer = SlidingWindowInfererAdapt(size, sw_batch_size=1, with_coord=True, padding_mode=padding)
            logits = inferer(data["image"][None], network, **keywords)
    reset_ops_id(data["image"])  # as the bundle's evaluator does: the inverse is another copy of the steps
    post = parser.get_parsed_content("postprocessing")
    certain = _certain(logits[0])
    labels = post({**data, "pred": logits[0].clone(), "label_prompt": shown})["pred"]
    sure = post({**data, "pred": certain, "label_prompt": None, "points": None})["pred"]
    return Answer(labels[0].numpy(), sure[0].numpy() > 0)


def _certain(logits: Any) -> Any:
    """Where the two best logits, background's 0 among them, differ by more than 1e-4; as a prediction."""
    with_background = torch.cat([logits.as_tensor(), torch.zeros_like(logits.as_tensor()[:1])])
    best = with_background.topk(2, dim=0).values
    marked = logits[:1].clone()
    marked[:] = (best[0] - best[1] > 1e-4).float()[None]
    return marked
