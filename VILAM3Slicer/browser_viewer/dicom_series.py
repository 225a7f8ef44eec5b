"""Finding the DICOM series in a folder, and where their slices lie.

Slices are sorted by their position along the normal of their plane, as DICOM PS3.3 C.7.6.2.1.1 defines it;
no identifier is needed for that, so series with blank UIDs work too. Of the patient nothing is kept but a
keyed digest that tells two patients apart while this process lives.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError

from VILAM3SlicerLib.protocol.errors import UnsupportedVolume
from VILAM3SlicerLib.protocol.messages import StoredRange
from VILAM3SlicerLib.scene.stored_range import range_of_tags

_TAGS = [
    "SOPClassUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "Modality", "Rows", "Columns",
    "ImagePositionPatient", "ImageOrientationPatient", "InstanceNumber", "PixelSpacing", "NumberOfFrames",
    "WindowCenter", "WindowWidth", "SamplesPerPixel", "SliceThickness", "ImageType", "BitsStored",
    "PixelRepresentation", "RescaleSlope", "RescaleIntercept", "PhotometricInterpretation",
    "PatientID", "PatientName", "PatientBirthDate", "PatientOrientation",
]  # fmt: skip
MAX_FILES = 20_000
_TOWARDS = {"L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0), "H": (0, 0, 1), "F": (0, 0, -1)}
"""DICOM's letters of the patient's sides, in LPS."""

_PATIENT_KEY = secrets.token_bytes(32)
"""Of this process alone, so that a digest says nothing outside of it."""

_SMALLEST_VOLUME = 3
"""Slices."""


@dataclass(frozen=True)
class DisplayTags:
    """What DICOM says of an image; zero or empty where it says nothing.

    ``modality`` is DICOM's own code, such as MR; ``window`` and ``level`` are in the units of the voxels as
    they are read, where MONOCHROME1 has become MONOCHROME2. ``stored_range`` is told of single images.
    ``description`` is that of the series. ``patient`` is a digest, equal for one patient's images.
    ``direction`` (3x3, row by row, in LPS) is told of images that say only towards which sides they run, as
    projection radiographs do (PatientOrientation, PS3.3 C.7.6.1.1.1).
    """

    modality: str = ""
    window: float = 0.0
    level: float = 0.0
    stored_range: StoredRange | None = None
    description: str = ""
    patient: str = ""
    direction: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Series:
    """The files of a series in the order of its slices.

    ``direction`` is 3x3, row by row, in LPS as ITK takes it; ``slice_spacing`` is in mm.
    """

    files: tuple[Path, ...]
    slice_spacing: float
    direction: tuple[float, ...]
    display: DisplayTags


class SeveralSeries(UnsupportedVolume):
    """A folder with several series; ``choices`` describes them in the order of their numbers, from 1."""

    code = "several_series"

    def __init__(self, message: str, hint: str = "", code: str | None = None) -> None:
        super().__init__(message, hint, code)
        self.choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Slice:
    file: Path
    header: pydicom.Dataset


def is_dicom(path: Path) -> bool:
    """Whether the file is DICOM; only the header is read."""
    if path.suffix.lower() == ".dcm":
        return True
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def read_display_tags(path: Path) -> DisplayTags:
    """What one DICOM file says."""
    found = _read_header(path)
    return _display(found.header) if found else DisplayTags()


def find_series(folder: Path, choice: str = "") -> Series:
    """The series in a folder and its subfolders.

    Args:
        choice: the number of the series in the list of the error message, or its UID.

    Raises:
        UnsupportedVolume: there is none, or several and ``choice`` names none of them, or its slices do not
            make a volume; the message says what was found and what to do.
    """
    groups = _grouped(_slices_in(folder))
    if not groups:
        raise UnsupportedVolume(
            f"The folder '{folder.name}' has no DICOM images.",
            "Choose the folder that holds the files of one series, or a NIfTI, NRRD or MetaImage file.",
        )
    slices = _chosen(folder, groups, choice)
    if slices[0].header.get("SamplesPerPixel", 1) != 1:
        raise UnsupportedVolume("The DICOM series is in colour.", "Choose a series with one value per pixel.")
    return _ordered(slices)


def find_all_series(folder: Path) -> list[Series]:
    """Every series in a folder and its subfolders that makes a volume: scouts and films are left out.

    Raises:
        UnsupportedVolume: there is none.
    """
    found = []
    for slices in _grouped(_slices_in(folder)):
        if len(slices) < _SMALLEST_VOLUME or slices[0].header.get("SamplesPerPixel", 1) != 1:
            continue
        try:
            found.append(_ordered(slices))
        except UnsupportedVolume:
            continue
    if not found:
        raise UnsupportedVolume(
            f"None of the DICOM series in '{folder.name}' makes a volume.", "Choose one series by itself."
        )
    return found


def _slices_in(folder: Path) -> list[_Slice]:
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
    if len(files) > MAX_FILES:
        raise UnsupportedVolume(
            f"The folder '{folder.name}' has {len(files):,} files.", "Choose the folder of one series."
        )
    found = (_read_header(file) for file in files if file.name.upper() != "DICOMDIR")
    return [one for one in found if one is not None and "Rows" in one.header]


def _read_header(file: Path) -> _Slice | None:
    try:
        header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_TAGS, force=_looks_bare(file))
    except (InvalidDicomError, OSError, EOFError, ValueError, KeyError, AttributeError):
        return None
    return _Slice(file, header)


def _looks_bare(file: Path) -> bool:
    """Old files come without the preamble; only the usual suffixes are tried, so that texts are not."""
    return file.suffix.lower() in (".dcm", ".ima", "")


def _grouped(slices: Sequence[_Slice]) -> list[list[_Slice]]:
    groups: dict[tuple[str, ...], list[_Slice]] = {}
    for one in slices:
        groups.setdefault(_group_of(one.header), []).append(one)
    return sorted(groups.values(), key=lambda group: -len(group))


def _group_of(header: pydicom.Dataset) -> tuple[str, ...]:
    """By UID; where it is blank, by what the images of one series have in common."""
    uid = str(header.get("SeriesInstanceUID", "") or "").strip()
    shape = (str(header.get("Rows")), str(header.get("Columns")))
    orientation = [f"{float(number):.3f}" for number in header.get("ImageOrientationPatient") or ()]
    if uid:
        return (uid, *shape, *orientation)
    return ("", str(header.get("SeriesNumber", "")), str(header.get("Modality", "")), *shape, *orientation)


def _chosen(folder: Path, groups: list[list[_Slice]], choice: str) -> list[_Slice]:
    if len(groups) == 1 and not choice:
        return groups[0]
    if choice.isdigit() and 1 <= int(choice) <= len(groups):
        return groups[int(choice) - 1]
    for group in groups:
        if choice and str(group[0].header.get("SeriesInstanceUID", "")) == choice:
            return group
    raise _several(folder, [_described(group) for group in groups])


def _several(folder: Path, choices: list[str]) -> SeveralSeries:
    listed = "; ".join(f"{number}: {choice}" for number, choice in enumerate(choices, 1))
    error = SeveralSeries(
        f"The folder '{folder.name}' has {len(choices)} DICOM series ({listed}).",
        "Choose one by its number: --series 1 on the command line, a click on the page.",
    )
    error.choices = tuple(choices)
    return error


def _described(group: Sequence[_Slice]) -> str:
    header = group[0].header
    text = str(header.get("SeriesDescription", "") or "no description").strip()
    size = f"{header.get('Columns')}×{header.get('Rows')}"
    return f"{header.get('Modality', '?')} '{text}', {len(group)} images of {size}"


def _ordered(slices: list[_Slice]) -> Series:
    display = _display(slices[len(slices) // 2].header)
    identity = tuple(np.eye(3).ravel().tolist())
    if len(slices) == 1:
        return Series((slices[0].file,), 1.0, identity, display)
    display = replace(display, stored_range=None)  # slices may have rescalings of their own
    rows, columns = _axes(slices)
    normal = np.cross(rows, columns)
    positions = np.array([[float(x) for x in one.header.ImagePositionPatient] for one in slices])
    order = np.argsort(positions @ normal, kind="stable")
    gaps = np.diff((positions @ normal)[order])
    _check_gaps(gaps, positions[order], normal)
    direction = np.stack([rows, columns, normal], axis=1)
    files = tuple(slices[index].file for index in order)
    return Series(files, float(np.median(gaps)), tuple(direction.ravel().tolist()), display)


def _axes(slices: Sequence[_Slice]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors (LPS) along a row and down a column; the grouping made them equal for all slices."""
    if not all("ImagePositionPatient" in one.header and one.header.ImagePositionPatient for one in slices):
        raise UnsupportedVolume(
            "The DICOM images do not say where they lie (no ImagePositionPatient).",
            "Export the series again from the archive, with its geometry.",
        )
    cosines = slices[0].header.get("ImageOrientationPatient")
    if not cosines or len(cosines) != 6:
        raise UnsupportedVolume(
            "The DICOM images do not say how they are oriented (no ImageOrientationPatient).",
            "Export the series again from the archive, with its geometry.",
        )
    values = np.array([float(number) for number in cosines])
    return values[:3] / np.linalg.norm(values[:3]), values[3:] / np.linalg.norm(values[3:])


def _check_gaps(
    gaps: NDArray[np.float64], positions: NDArray[np.float64], normal: NDArray[np.float64]
) -> None:
    usual = float(np.median(gaps))
    if usual < 1e-3 or float(gaps.min()) < 1e-3:
        raise UnsupportedVolume(
            "The DICOM series has several images at the same position (time points or repeats).",
            "Choose a folder with one image per position.",
        )
    if float(np.abs(gaps - usual).max()) > 0.1 * usual + 0.01:
        raise UnsupportedVolume(
            f"The slices are unevenly spaced ({gaps.min():.2f} to {gaps.max():.2f} mm): some may be missing.",
            "Copy the whole series, or load it in 3D Slicer, save it as NRRD and open that.",
        )
    steps = np.diff(positions, axis=0)
    shear = steps - np.outer(steps @ normal, normal)
    if float(np.linalg.norm(shear, axis=1).max()) > 0.05 * usual + 0.01:
        raise UnsupportedVolume(
            "The slices were acquired with a tilted gantry.",
            "Load the series in 3D Slicer, save the volume as NRRD and open that.",
        )


def _display(header: pydicom.Dataset) -> DisplayTags:
    width, center = _first(header.get("WindowWidth")), _first(header.get("WindowCenter"))
    modality, description = (str(header.get(tag, "") or "") for tag in ("Modality", "SeriesDescription"))
    stored = range_of_tags(lambda tag: _text(header, tag))
    if width is None or center is None or width < 1:
        width = center = 0.0
    elif header.get("PhotometricInterpretation") == "MONOCHROME1" and stored is not None:
        center = stored[0] + stored[1] - center  # the reader turned the values over
    return DisplayTags(
        modality, width, center, stored, description.strip(), _patient(header), _direction(header)
    )


def _direction(header: pydicom.Dataset) -> tuple[float, ...] | None:
    sides = header.get("PatientOrientation")
    if header.get("ImageOrientationPatient") or sides is None or isinstance(sides, str) or len(sides) != 2:
        return None
    along, down = (np.array(_TOWARDS.get(str(side)[:1], (0, 0, 0)), np.float64) for side in sides)
    direction = np.stack([along, down, np.cross(along, down)], axis=1)
    return tuple(direction.ravel().tolist()) if abs(np.linalg.det(direction)) > 0.5 else None


def _text(header: pydicom.Dataset, tag: str) -> str:
    group, element = (int(part, 16) for part in tag.split(","))
    found = header.get((group, element))
    return "" if found is None or found.value is None else str(found.value)


def _patient(header: pydicom.Dataset) -> str:
    """By the patient's ID, else by name and day of birth; empty where neither is given."""
    said = [
        str(header.get(tag, "") or "").strip() for tag in ("PatientID", "PatientName", "PatientBirthDate")
    ]
    number, name, birth = said
    known = number or (f"{name}\n{birth}" if name else "")
    return hashlib.blake2b(known.encode(), key=_PATIENT_KEY).hexdigest() if known else ""


def _first(value: object) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = value[0] if len(value) else None
    try:
        return float(str(value))
    except ValueError:
        return None
