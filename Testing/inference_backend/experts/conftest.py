"""Real CTs with reference labels, from the sample data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from inference_backend.experts.ct_tissue import create
from inference_backend.experts.interface import ExpertRequest, Segmentation
from inference_backend.imaging.volume import Volume

Run = Callable[[Volume, str], Segmentation]


def read(path: Path) -> Volume:
    if not path.exists():
        pytest.skip(f"no sample data: {path} (python3 setup_backend.py test fetches it)")
    image = nibabel.load(path)
    return Volume(np.asanyarray(image.dataobj).astype(np.int16), image.affine)


@pytest.fixture(scope="session")
def run() -> Run:
    return lambda volume, argument: create().run(
        ExpertRequest(argument, volume), lambda fraction, words: None, lambda: False
    )


@pytest.fixture(scope="session")
def chest_ct(data_folder: Path) -> Volume:
    return read(data_folder / "chest_ct" / "cxr.nii.gz")


@pytest.fixture(scope="session")
def chest_reference(data_folder: Path) -> np.ndarray:
    """TotalSegmentator's label values on the grid of the chest CT."""
    return read(data_folder / "reference" / "chest_ct_labels.nii.gz").voxels


@pytest.fixture(scope="session")
def abdomen_folder(data_folder: Path) -> Path:
    return data_folder / "totalsegmentator" / "tests" / "reference_files"


@pytest.fixture(scope="session")
def abdomen_ct(abdomen_folder: Path) -> Volume:
    """Lung bases to hips at 3 mm, native phase."""
    return read(abdomen_folder / "example_ct.nii.gz")


@pytest.fixture(scope="session")
def abdomen_reference(abdomen_folder: Path) -> np.ndarray:
    return read(abdomen_folder / "example_seg_fast_force_split.nii.gz").voxels


@pytest.fixture(scope="session")
def tumour_case(data_folder: Path) -> Callable[[str], tuple[Volume, Volume]]:
    """A chest CT with a tumour (``lung1``, ``lung2``: 5 mm slices) and the tumour's outline on its grid."""

    def case(name: str) -> tuple[Volume, Volume]:
        folder = data_folder / "pyradiomics" / "data"
        return read_nrrd(folder / f"{name}_image.nrrd"), read_nrrd(folder / f"{name}_label.nrrd")

    return case


def read_nrrd(path: Path) -> Volume:
    if not path.exists():
        pytest.skip(f"no sample data: {path} (python3 setup_backend.py test fetches it)")
    image = SimpleITK.ReadImage(str(path))
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    voxels = np.asfortranarray(SimpleITK.GetArrayFromImage(image).T)
    return Volume(voxels, np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix)
