"""A network that knows the reference labels of a real scan, so that everything around it can be checked.

The labels are sampled by SimpleITK at the places where the preprocessed image says that its voxels lie. A
mistake in the geometry, the windows, the prompts or the way back therefore puts labels into wrong voxels.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
import torch
from scipy import ndimage

from inference_backend.experts.prepared_image import PreparedImage
from inference_backend.experts.vista3d.expert import Vista3d
from inference_backend.experts.vista3d.model import Vista3dModel
from inference_backend.imaging.volume import Volume
from Testing.inference_backend.experts.simple_itk import itk_image, sampled


def half_diagonal(ijk_to_ras: np.ndarray) -> float:
    """The farthest that a point can be from the nearest voxel centre, in mm."""
    return float(np.linalg.norm(np.linalg.norm(ijk_to_ras[:3, :3], axis=0))) / 2


class Anatomy:
    """Reference labels where they lie in the patient."""

    def __init__(self, labels: Volume) -> None:
        self.labels = labels
        self._image = itk_image(labels.voxels, labels.ijk_to_ras)

    def on_grid(self, shape: Sequence[int], ijk_to_ras: np.ndarray) -> np.ndarray:
        """The labels of the nearest voxels, uint8."""
        return sampled(self._image, shape, ijk_to_ras, SimpleITK.sitkNearestNeighbor, 0)

    def beyond_doubt(self, volume: Volume, spacing: float) -> np.ndarray:
        """Voxels of a grid whose label a detour over another grid of this spacing (mm) cannot change.

        The detour's voxel is at most its half diagonal away, and each look-up of a reference label errs by
        at most half a diagonal of a reference voxel; so far around the reference labels must all be equal.
        """
        own = half_diagonal(self.labels.ijk_to_ras)
        reach = 2 * own + half_diagonal(np.diag([spacing] * 3 + [1.0]))
        size = [2 * int(np.ceil(reach / step)) + 1 for step in self.labels.spacing]
        voxels = self.labels.voxels
        highest = ndimage.maximum_filter(voxels, size, mode="constant")  # 0 outside, as ``on_grid``
        alike = highest == ndimage.minimum_filter(voxels, size, mode="constant")
        image = itk_image(alike.astype(np.uint8), self.labels.ijk_to_ras)
        nearest = SimpleITK.sitkNearestNeighbor
        return sampled(image, volume.voxels.shape, volume.ijk_to_ras, nearest, 0) > 0


class ReadsLabels:
    """Implements ``SegmentsByClass`` on an image of labels x: the logit of label l is 1/4 - (x - l)²."""

    def features(self, windows: torch.Tensor) -> torch.Tensor:
        return torch.cat([windows * windows, windows, torch.ones_like(windows)], 1)

    def prompt_vectors(self, labels: Sequence[int]) -> torch.Tensor:
        return torch.tensor([[-1.0, 2.0 * label, 0.25 - label * label] for label in labels])


class KnowingModel(Vista3dModel):
    """A bundle whose network sees the reference labels in place of the image.

    ``seen`` and ``grids`` hold what was prepared: the image, and its shape and place (voxel to RAS).
    """

    def __init__(self, folder: Path, device: str, anatomy: Anatomy) -> None:
        super().__init__(folder, device)
        self.class_prompted = ReadsLabels()  # type: ignore[assignment]
        self.seen: list[torch.Tensor] = []
        self.grids: list[tuple[tuple[int, ...], np.ndarray]] = []
        self._anatomy = anatomy
        self._last: tuple[Any, PreparedImage] | None = None

    def prepare(self, volume: Volume) -> PreparedImage:
        if self._last is not None and self._same(self._last[0], volume):
            return self._last[1]
        prepared = super().prepare(volume)
        self.seen.append(prepared.tensor.as_tensor()[0].clone())
        tensor = prepared.tensor
        self.grids.append((tuple(tensor.shape[1:]), tensor.affine.numpy().astype(float)))
        labels = self._anatomy.on_grid(*self.grids[-1])
        tensor[0] = torch.from_numpy(np.ascontiguousarray(labels)).float()
        self._last = volume, prepared
        return prepared

    @staticmethod
    def _same(one: Volume, other: Volume) -> bool:
        same_place = np.array_equal(one.ijk_to_ras, other.ijk_to_ras)
        return same_place and np.array_equal(one.voxels, other.voxels)


@dataclass(frozen=True)
class Knowing:
    """The expert with a network that knows the anatomy; it looks at scans with this spacing in mm."""

    expert: Vista3d
    model: KnowingModel
    anatomy: Anatomy
    spacing: float


MakeKnowing = Callable[[Anatomy, float], Knowing]


def published_names(golden: Path) -> dict[str, int]:
    """Every structure that the published system names, and its label."""
    groups = json.loads((golden / "label_groups.json").read_text())
    groups.pop("everything")
    return {name: label for labels in groups.values() for name, label in labels.items()}


def in_vista3d_labels(labels: np.ndarray, structures: Path, names: dict[str, int]) -> np.ndarray:
    """Labels that a table names, in VISTA3D's numbering by name."""
    by_words = {_words(name): label for name, label in names.items()}
    by_words[_words("urinary bladder")] = names["bladder"]
    with structures.open(newline="") as file:
        listed = {int(row["id"]): row["structure"] for row in csv.DictReader(file)}
    table = np.zeros(256, np.uint8)
    for value in np.unique(labels[labels > 0]):
        table[value] = by_words[_words(listed[int(value)])]
    return np.asarray(table[labels])


def _words(name: str) -> frozenset[str]:
    return frozenset(name.lower().replace("_", " ").split())


def dice(found: np.ndarray, reference: np.ndarray) -> float:
    """1 where both are empty."""
    total = float(found.sum() + reference.sum())
    return 2 * float((found & reference).sum()) / total if total else 1.0
