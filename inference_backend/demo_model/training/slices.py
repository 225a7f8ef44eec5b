"""Pictures of scans as a viewer shows them, with what is to be seen in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from inference_backend.demo_model.training.sources import Region, Scan, resampled

IMAGE_SIZE = 224
MODALITIES = ("CT", "MRI", "CXR")
PLANES = ("axial", "coronal", "sagittal", "frontal")
REGIONS = ("head", "chest", "abdomen", "pelvis")

CT_WINDOWS = ((40.0, 400.0), (50.0, 400.0), (-600.0, 1500.0), (400.0, 1800.0), (60.0, 900.0), (40.0, 120.0))
"""Window centres and widths in HU: soft tissue, the published one, lung, bone, wide, brain."""

Picture = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """A greyscale picture (224, 224), uint8, rows from the top, and what it shows."""

    pixels: npt.NDArray[np.uint8]
    modality: str
    plane: str
    region: str
    scan: str


def draw_images(
    scans: Sequence[Scan], count: int, random: np.random.Generator, augment: bool
) -> list[LabelledImage]:
    """Pictures of the scans, modality and plane balanced; with ``augment`` as varied as viewers make them."""
    kinds = [(scan, plane) for scan in scans for plane in _planes(scan)]
    weights = np.array([1.0 / sum(_kind(other) == _kind(kind) for other in kinds) for kind in kinds])
    chosen = random.choice(len(kinds), count, p=weights / weights.sum())
    return [_draw(scan, plane, random, augment) for scan, plane in (kinds[index] for index in chosen)]


def _kind(choice: tuple[Scan, str]) -> tuple[str, str]:
    scan, plane = choice
    return ("CXR" if plane == "frontal" else scan.source.modality, plane)


def _planes(scan: Scan) -> tuple[str, ...]:
    source = scan.source
    return source.planes + (("frontal",) if source.projected or source.modality == "CXR" else ())


def _draw(scan: Scan, plane: str, random: np.random.Generator, augment: bool) -> LabelledImage:
    while True:
        image = _draw_any(scan, plane, random, augment)
        if image.pixels.std() > 12:  # else nothing is to be seen: above the head, or all of one grey
            return image


def _draw_any(scan: Scan, plane: str, random: np.random.Generator, augment: bool) -> LabelledImage:
    if plane == "frontal":
        picture, region, modality = scan.radiograph, "chest", "CXR"
    else:
        low, high = _visible_height(plane, random, augment)
        position = random.uniform(low, high) if plane == "axial" else random.uniform(0.3, 0.7)
        picture = _slice(scan, plane, position, (low, high))
        region = _region(scan, position if plane == "axial" else (low + high) / 2)
        picture = _windowed(picture, scan, random)
        modality = scan.source.modality
    picture = _varied(picture, random) if augment else picture
    return LabelledImage(_squeezed(picture), modality, plane, region, scan.source.name)


def _visible_height(plane: str, random: np.random.Generator, augment: bool) -> tuple[float, float]:
    """The part of the scan's height in view, as fractions from the lowest slice."""
    if plane == "axial":
        return 0.06, 0.94
    if not augment or random.random() < 0.5:
        return 0.0, 1.0
    height = random.uniform(0.55, 0.95)
    low = random.uniform(0.0, 1.0 - height)
    return low, low + height


def _region(scan: Scan, height: float) -> Region:
    return next(region for upper, region in scan.source.regions if height <= upper)


def _slice(scan: Scan, plane: str, position: float, visible: tuple[float, float]) -> Picture:
    """A slice, rows from the top, patient right on image left, pixels square and 1.5 mm."""
    axis = {"sagittal": 0, "coronal": 1, "axial": 2}[plane]
    index = min(int(position * scan.voxels.shape[axis]), scan.voxels.shape[axis] - 1)
    flat = np.moveaxis(scan.voxels, axis, 0)[index]
    spacing = [size for other, size in enumerate(scan.spacing) if other != axis]
    if plane != "axial":
        height = flat.shape[1]
        flat = flat[:, int(visible[0] * height) : max(int(visible[1] * height), 8)]
    return resampled(flat.T[::-1, :: 1 if plane == "sagittal" else -1], spacing[1] / 1.5, spacing[0] / 1.5)


def _windowed(picture: Picture, scan: Scan, random: np.random.Generator) -> Picture:
    if scan.in_hounsfield_units:
        windows = CT_WINDOWS if _region(scan, 0.5) == "head" else CT_WINDOWS[:-1]
        centre, width = windows[random.integers(len(windows))]
        centre, width = centre + random.normal(0, 0.04) * width, width * random.uniform(0.8, 1.25)
    else:
        low, *highs = scan.percentiles
        high = highs[random.integers(len(highs))]
        centre, width = (low + high) / 2, max(high - low, 1.0)
    windowed: Picture = np.clip((picture - centre) / width + 0.5, 0, 1) * 255
    return windowed


def _varied(picture: Picture, random: np.random.Generator) -> Picture:
    """Another zoom, position, aspect, brightness, sharpness and noise; turned left to right now and then."""
    varied = picture[:, ::-1] if random.random() < 0.25 else picture
    varied = _reframed(varied, random)
    varied = 255.0 * np.clip(varied / 255.0, 0, 1) ** random.uniform(0.7, 1.4)
    varied = varied * random.uniform(0.85, 1.1) + random.uniform(0, 12)
    if random.random() < 0.5:
        varied = varied + random.normal(0, random.uniform(1, 10), varied.shape)
    result: Picture = varied.astype(np.float32)
    return result


def _reframed(picture: Picture, random: np.random.Generator) -> Picture:
    """A window of another size and place over the picture, black outside."""
    rows, columns = picture.shape
    zoom = random.uniform(0.7, 1.35)
    height, width = (
        int(rows * zoom * random.uniform(0.85, 1.18)),
        int(columns * zoom * random.uniform(0.85, 1.18)),
    )
    top = int((rows - height) / 2 + random.uniform(-0.12, 0.12) * rows)
    left = int((columns - width) / 2 + random.uniform(-0.12, 0.12) * columns)
    padding = max(rows, columns)
    padded = np.pad(picture, padding)
    return padded[padding + top : padding + top + height, padding + left : padding + left + width]


def _squeezed(picture: Picture) -> npt.NDArray[np.uint8]:
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    return np.asarray(image.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC))
