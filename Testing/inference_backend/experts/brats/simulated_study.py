"""T1c, T1, T2 and FLAIR of one brain, simulated from the tissue maps of a real one (ICBM 152, nilearn)."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
from scipy.ndimage import binary_fill_holes, gaussian_filter, map_coordinates, zoom

from inference_backend.imaging.volume import Volume

CONTRASTS = {
    "T1c": (0.22, 0.60, 0.95),
    "T1": (0.20, 0.60, 0.95),
    "T2": (1.00, 0.60, 0.40),
    "FLAIR": (0.10, 0.70, 0.50),
}
"""Brightness of fluid, grey and white matter."""

TUMOUR = {
    "T1c": (0.45, 0.35, 1.30),
    "T1": (0.45, 0.35, 0.40),
    "T2": (0.95, 0.80, 0.75),
    "FLAIR": (0.95, 0.60, 0.75),
}
"""Brightness of oedema, dead core and enhancing rim."""


def tissue_maps(folder: Path) -> Volume:
    """Fluid as 1, grey matter as 2, white matter as 3, mixtures in between; 1 mm, cut to the brain."""
    images = [nibabel.as_closest_canonical(nibabel.load(folder / f"{name}.nii.gz")) for name in ("gm", "wm")]
    grey, white = (np.asarray(image.dataobj, np.float32) for image in images)
    brain = binary_fill_holes(grey + white > 0.05 * grey.max())
    share = [tissue / tissue.max() for tissue in (grey, white)]
    mixture = np.where(brain, 1 + np.clip(share[0] + 2 * share[1], 0, 2), 0).astype(np.float32)
    first, last = np.argwhere(brain).min(axis=0), np.argwhere(brain).max(axis=0) + 1
    matrix = images[0].affine.copy()
    matrix[:3, 3] = (matrix @ (*first, 1))[:3]
    return Volume(mixture[tuple(slice(*ends) for ends in zip(first, last, strict=True))], matrix)


def another_patient(tissue: Volume, seed: int, millimetres: float = 5.0) -> Volume:
    """A brain in the same space whose parts lie elsewhere, as after an affine registration."""
    generator = np.random.default_rng(seed)
    shape = tissue.voxels.shape
    bends = [zoomed(gaussian_filter(generator.normal(size=(24, 24, 24)), 1.8), shape) for _ in range(3)]
    moved = [
        axis + bend / bend.std() * millimetres / np.sqrt(3)
        for axis, bend in zip(np.indices(shape, np.float32), bends, strict=True)
    ]
    return tissue.with_voxels(map_coordinates(tissue.voxels, moved, order=1))


def simulated(
    tissue: Volume, seed: int = 0, tumour_at: tuple[float, float, float] | None = None
) -> list[Volume]:
    """The four sequences in the published order, each with its own noise and bias field; 0 around the brain.

    Args:
        tumour_at: voxel indices of the middle of a tumour, an oedema of 24 mm around a core of 15 mm.
    """
    generator = np.random.default_rng(seed)
    voxels, brain = tissue.voxels, tissue.voxels > 0
    sequences = []
    for role, (fluid, grey, white) in CONTRASTS.items():
        image = np.interp(voxels, (1, 2, 3), (fluid, grey, white))
        if tumour_at is not None:
            image = _with_tumour(image, TUMOUR[role], tumour_at)
        bias = 1 + 0.1 * zoomed(gaussian_filter(generator.normal(size=(8, 8, 8)), 1.5) / 0.1, voxels.shape)
        noisy = image * bias + generator.normal(0, 0.03, voxels.shape)
        kept = np.where(brain, np.maximum(noisy, 0.001) * 1000, 0).astype(np.float32)
        sequences.append(tissue.with_voxels(np.asfortranarray(kept)))
    return sequences


def zoomed(small: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A smooth field stretched over a volume."""
    large = zoom(small, [-(-size // count) for size, count in zip(shape, small.shape, strict=True)], order=1)
    return np.asarray(large[tuple(slice(0, size) for size in shape)], np.float32)


def _with_tumour(image: np.ndarray, brightness: tuple[float, ...], middle: tuple[float, ...]) -> np.ndarray:
    distance = np.sqrt(
        sum((axis - at) ** 2 for axis, at in zip(np.indices(image.shape, np.float32), middle, strict=True))
    )
    oedema, core, rim = brightness
    return np.select([distance < 11, distance < 15, distance < 24], [core, rim, oedema], image)
