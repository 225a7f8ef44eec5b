"""Scans from files, read and checked off the event loop: what is on the screen stays until it is sure.

Reads NIfTI, NRRD, MetaImage and DICOM through SimpleITK; a folder, or a file of a DICOM series, goes to
``dicom_series``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from browser_viewer.dicom_series import (
    DisplayTags,
    Series,
    find_all_series,
    find_series,
    is_dicom,
    read_display_tags,
)
from browser_viewer.pictures import as_slice, is_picture
from VILAM3SlicerLib.protocol.errors import TooLarge, UnsupportedVolume
from VILAM3SlicerLib.protocol.mri_sequences import guess_role

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm")
READABLE = "Readable are NIfTI, NRRD, MetaImage and DICOM, and radiographs as PNG or JPEG."
MAX_VOXELS = 1 << 31

CheckHeader = Callable[[str, SimpleITK.ImageFileReader], None]
"""Raises UnsupportedVolume for a file, named first, whose header says that it cannot be read."""

MAX_SEQUENCES = 16
ALL_SERIES = "all"


@dataclass(frozen=True)
class Scan:
    """A volume as it was read.

    ``voxels`` has shape (K, J, I); ``ijk_to_ras`` (4x4) maps voxel centres to RAS in mm; ``tags`` is what
    DICOM says of how to show it.
    """

    name: str
    voxels: NDArray[np.generic]
    ijk_to_ras: NDArray[np.float64]
    tags: DisplayTags


def read_scan(path: Path, series: str = "") -> Scan:
    """Read a scan from a file or a folder with a DICOM series.

    Args:
        series: which series of a folder with several: its number in the list that the error message gives.

    Raises:
        UnsupportedVolume: no image, empty, 4D, colour, or a folder without exactly one usable series.
        TooLarge: more voxels than this viewer handles.
    """
    if not path.exists():
        raise UnsupportedVolume(f"There is no file or folder '{path}'.", "Check the path.")
    if path.is_dir():
        return _read_series(path, series)
    if is_dicom(path):
        return _from_image(path.name, _read_file(path), read_display_tags(path))
    if is_picture(path):
        picture = as_slice(path.name, _read_file(path, _check_size))
        return _from_image(path.name, picture, DisplayTags())
    return _from_image(path.name, _read_file(path), DisplayTags())


def read_scans(path: Path, series: str = "") -> list[Scan]:
    """What is to be opened together: a scan, or the sequences of a study.

    The first is the one to be talked about. A folder of image files is read as one study; so is a folder
    with several DICOM series for ``ALL_SERIES``.

    Raises:
        UnsupportedVolume: see ``read_scan``; or more files than a study has.
        TooLarge: see ``read_scan``.
    """
    files = _image_files(path) if path.is_dir() else []
    if files:
        return _contrast_first([read_scan(file) for file in files])
    if not path.is_dir() or series != ALL_SERIES:
        return [read_scan(path, series)]
    found = find_all_series(path)
    _check_count(path.name, len(found))
    named = ((one.display.description or f"series {number}", one) for number, one in enumerate(found, 1))
    return _contrast_first([_series_scan(name, one) for name, one in named])


def _contrast_first(scans: list[Scan]) -> list[Scan]:
    """The first is talked about: the enhanced T1, on whose grid a study is worked on, if there is one."""
    return sorted(scans, key=lambda scan: guess_role(scan.tags.description or scan.name) != "T1c")


def _image_files(folder: Path) -> list[Path]:
    """Files other than DICOM that each hold a volume."""
    kinds = tuple(suffix for suffix in SUFFIXES if suffix != ".dcm")
    files = sorted(file for file in folder.iterdir() if file.name.lower().endswith(kinds))
    _check_count(folder.name, len(files))
    return files


def _check_count(name: str, count: int) -> None:
    if count > MAX_SEQUENCES:
        raise UnsupportedVolume(
            f"'{name}' has {count} volumes; a study has at most {MAX_SEQUENCES}.",
            "Choose the sequences of one study.",
        )


def _read_series(folder: Path, series: str) -> Scan:
    return _series_scan(folder.name, find_series(folder, series))


def _series_scan(name: str, found: Series) -> Scan:
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames([str(file) for file in found.files])
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise UnsupportedVolume(
            f"The DICOM series '{name}' cannot be read: {_reason(error)}", READABLE
        ) from error
    if len(found.files) > 1:
        image.SetSpacing((*image.GetSpacing()[:2], found.slice_spacing))
        image.SetDirection(found.direction)
    return _from_image(name, image, found.display)


def _read_file(path: Path, check: CheckHeader | None = None) -> SimpleITK.Image:
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        (check or _check_header)(path.name, reader)
        image: SimpleITK.Image = reader.Execute()
    except RuntimeError as error:
        raise UnsupportedVolume(
            f"'{path.name}' cannot be read as an image: {_reason(error)}", READABLE
        ) from error
    return image


def _check_header(name: str, reader: SimpleITK.ImageFileReader) -> None:
    size = reader.GetSize()
    extra = [count for count in size[3:] if count > 1]
    if extra:
        times = " × ".join(str(count) for count in size)
        raise UnsupportedVolume(
            f"'{name}' has {len(size)} dimensions ({times}); one 3D volume is needed.",
            "Save one of its time points or channels as a file of its own and open that.",
        )
    if reader.GetNumberOfComponents() > 1:
        raise UnsupportedVolume(
            f"'{name}' is a colour or vector image; a volume with one value per voxel is needed.",
            "Open the original scan instead of a picture of it.",
        )
    if len(size) < 3:
        raise UnsupportedVolume(f"'{name}' is a 2D picture; a 3D volume is needed.", READABLE)
    _check_size(name, reader)


def _check_size(name: str, reader: SimpleITK.ImageFileReader) -> None:
    if np.prod([float(count) for count in reader.GetSize()]) > MAX_VOXELS:
        raise TooLarge(f"'{name}' has more than {MAX_VOXELS:,} voxels.", "Crop or resample it first.")


def _reason(error: RuntimeError) -> str:
    """The last sentence of ITK's long message, without its memory addresses."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[-1] if lines else "no reason given."
    if "Unable to determine ImageIO reader" in text:
        return "it has none of the formats that are known here."
    return text.split("):")[-1].strip().removeprefix("sitk::").removeprefix("ERROR:").strip()


def _from_image(name: str, image: SimpleITK.Image, tags: DisplayTags) -> Scan:
    if image.GetNumberOfComponentsPerPixel() > 1:
        raise UnsupportedVolume(
            f"'{name}' is a colour image; a volume with one value per voxel is needed.",
            "Open the original scan instead of a picture of it.",
        )
    if image.GetDimension() == 4:
        image = image[:, :, :, 0]
    if tags.direction is not None:
        image.SetDirection(tags.direction)
    voxels = _usable(name, SimpleITK.GetArrayFromImage(image))
    return Scan(name, voxels, _ijk_to_ras(image), tags)


def _usable(name: str, voxels: NDArray[np.generic]) -> NDArray[np.generic]:
    if voxels.size == 0:
        raise UnsupportedVolume(f"'{name}' has no voxels.", READABLE)
    if voxels.dtype.kind == "f" and not np.isfinite(voxels).all():
        finite = voxels[np.isfinite(voxels)]
        voxels = np.nan_to_num(voxels, copy=False, nan=float(finite.min()) if finite.size else 0.0)
    low, high = float(voxels.min()), float(voxels.max())
    if low == high:
        raise UnsupportedVolume(
            f"'{name}' is empty: every voxel has the value {low:g}.", "Open another file of the scan."
        )
    return np.ascontiguousarray(_narrow(voxels, low, high))


def _narrow(voxels: NDArray[np.generic], low: float, high: float) -> NDArray[np.generic]:
    """Whole numbers that came as float or 64 bits, as int16 or int32: the same values in less memory."""
    if voxels.dtype.kind in "iu" and voxels.dtype.itemsize < 8:
        return voxels
    for kind in (np.int16, np.int32):
        limits = np.iinfo(kind)
        if limits.min <= low and high <= limits.max:
            narrow = voxels.astype(kind)
            return narrow if np.array_equal(narrow, voxels) else voxels
    return voxels


def _ijk_to_ras(image: SimpleITK.Image) -> NDArray[np.float64]:
    """ITK's origin, spacing and direction (LPS) as one matrix to RAS."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix
