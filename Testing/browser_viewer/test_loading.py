"""Scans are read with their place in the patient, and what is no scan is refused with a word that helps."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from browser_viewer.loading import ALL_SERIES, MAX_SEQUENCES, read_scan, read_scans
from VILAM3SlicerLib.protocol.errors import UnsupportedVolume

SHAPE = (5, 8, 10)
"""K, J, I."""


@pytest.fixture
def voxels() -> np.ndarray:
    return np.random.default_rng(7).integers(-1000, 1000, SHAPE).astype(np.int16)


def oblique_image(voxels: np.ndarray) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((10.0, -20.0, 30.0))
    turn = np.radians(20)
    image.SetDirection((np.cos(turn), -np.sin(turn), 0, np.sin(turn), np.cos(turn), 0, 0, 0, 1))
    return image


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_oblique_volume_lands_where_simpleitk_puts_it(tmp_path, voxels, suffix):
    image = oblique_image(voxels)
    SimpleITK.WriteImage(image, str(tmp_path / f"scan{suffix}"))
    scan = read_scan(tmp_path / f"scan{suffix}")
    np.testing.assert_array_equal(scan.voxels, voxels)
    left, posterior, superior = image.TransformIndexToPhysicalPoint((3, 2, 4))
    np.testing.assert_allclose(scan.ijk_to_ras @ (3, 2, 4, 1), (-left, -posterior, superior, 1), atol=1e-4)


def test_nifti_lands_where_nibabel_puts_it(tmp_path, voxels):
    affine = np.array([[-0.7, 0, 0, 90], [0, 0.7, 0, -80], [0, 0, 2, -340], [0, 0, 0, 1]])
    nibabel.save(nibabel.Nifti1Image(voxels.transpose(2, 1, 0), affine), tmp_path / "scan.nii.gz")
    np.testing.assert_allclose(read_scan(tmp_path / "scan.nii.gz").ijk_to_ras, affine, atol=1e-4)


def test_whole_numbers_stored_as_float_need_half_the_memory(tmp_path, voxels):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(voxels.astype(np.float32)), str(tmp_path / "scan.nrrd"))
    assert read_scan(tmp_path / "scan.nrrd").voxels.dtype == np.int16


def test_numbers_that_are_none_do_not_spoil_the_scan(tmp_path, voxels):
    values = voxels.astype(np.float32) + np.float32(0.5)
    values[0, 0, 0] = np.nan
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(tmp_path / "scan.nrrd"))
    assert np.isfinite(read_scan(tmp_path / "scan.nrrd").voxels).all()


def no_image(folder: Path) -> Path:
    (folder / "scan.nii.gz").write_bytes(b"this is no image " * 100)
    return folder / "scan.nii.gz"


def cut_file(folder: Path) -> Path:
    image = SimpleITK.GetImageFromArray(np.arange(60000, dtype=np.int16).reshape(30, 40, 50))
    SimpleITK.WriteImage(image, str(folder / "scan.mha"))
    (folder / "cut.mha").write_bytes((folder / "scan.mha").read_bytes()[:2000])
    return folder / "cut.mha"


def four_dimensions(folder: Path) -> Path:
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 4, 3), np.int16), np.eye(4)), folder / "scan.nii.gz")
    return folder / "scan.nii.gz"


def colour(folder: Path) -> Path:
    image = SimpleITK.GetImageFromArray(np.zeros((4, 4, 4, 3), np.uint8), isVector=True)
    SimpleITK.WriteImage(image, str(folder / "scan.nrrd"))
    return folder / "scan.nrrd"


def empty(folder: Path) -> Path:
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.zeros(SHAPE, np.int16)), str(folder / "scan.nrrd"))
    return folder / "scan.nrrd"


def picture(folder: Path) -> Path:
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.zeros((8, 8), np.uint8)), str(folder / "scan.nrrd"))
    return folder / "scan.nrrd"


def colour_picture(folder: Path) -> Path:
    Image.fromarray(np.random.default_rng(3).integers(0, 255, (90, 80, 3)).astype(np.uint8)).save(
        folder / "holiday.jpg"
    )
    return folder / "holiday.jpg"


def empty_folder(folder: Path) -> Path:
    (folder / "notes.txt").write_text("nothing here")
    return folder


def missing(folder: Path) -> Path:
    return folder / "nowhere.nrrd"


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (no_image, "cannot be read as an image"),
        (cut_file, "cannot be read as an image"),
        (four_dimensions, "4 dimensions"),
        (colour, "colour"),
        (empty, "empty"),
        (picture, "2D picture"),
        (colour_picture, "colour picture"),
        (empty_folder, "no DICOM images"),
        (missing, "no file or folder"),
    ],
)
def test_what_is_no_scan_is_refused_with_a_hint(tmp_path, make, word):
    with pytest.raises(UnsupportedVolume, match=word) as caught:
        read_scan(make(tmp_path))
    assert caught.value.hint


def write_series(folder: Path, voxels: np.ndarray, uid: str, **changes: object) -> None:
    """One file a slice, in shuffled order, 2 mm apart; ``changes`` go into every file."""
    folder.mkdir(exist_ok=True)
    for number, k in enumerate(np.random.default_rng(3).permutation(len(voxels))):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        file.SOPClassUID, file.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        file.SeriesInstanceUID, file.Modality, file.PatientName = uid, "CT", "Secret^Name"
        file.Rows, file.Columns = voxels.shape[1:]
        file.ImagePositionPatient = [-5.0, -6.0, 2.0 * int(k)]
        file.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        file.PixelSpacing = [0.8, 0.7]
        file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 16, 15, 1
        file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
        file.RescaleSlope, file.RescaleIntercept = 1, 0
        file.WindowCenter, file.WindowWidth = [40, 500], [400, 2000]
        for name, value in changes.items():
            setattr(file, name, value)
        file.PixelData = voxels[k].tobytes()
        pydicom.dcmwrite(folder / f"image{uid.replace('.', '')}{number:03d}", file)


@pytest.mark.parametrize("uid", ["1.2.3.4", ""])
def test_dicom_series_is_sorted_by_position_even_with_blank_uids(tmp_path, voxels, uid):
    write_series(tmp_path / "series", voxels, uid)
    scan = read_scan(tmp_path / "series")
    np.testing.assert_array_equal(scan.voxels, voxels)
    np.testing.assert_allclose(scan.ijk_to_ras @ (0, 0, 3, 1), (5, 6, 6, 1))
    np.testing.assert_allclose(np.diag(scan.ijk_to_ras)[:3], (-0.7, -0.8, 2.0))
    assert (scan.tags.modality, scan.tags.window, scan.tags.level) == ("CT", 400.0, 40.0)


def test_two_series_are_listed_and_one_can_be_chosen(tmp_path, voxels):
    write_series(tmp_path / "both", voxels, "1.2.3.1111", SeriesDescription="lung")
    write_series(tmp_path / "both", voxels[:3] + 1, "1.2.3.2222", SeriesDescription="scout")
    with pytest.raises(UnsupportedVolume) as caught:
        read_scan(tmp_path / "both")
    assert "1: CT 'lung', 5 images of 10×8; 2: CT 'scout', 3 images" in caught.value.message
    assert "--series" in caught.value.hint
    np.testing.assert_array_equal(read_scan(tmp_path / "both", "2").voxels, voxels[:3] + 1)


def test_a_missing_slice_is_noticed(tmp_path, voxels):
    write_series(tmp_path / "series", voxels, "1.2.3.4")
    for file in (tmp_path / "series").iterdir():
        if pydicom.dcmread(file).ImagePositionPatient[2] == 4.0:
            file.unlink()
    with pytest.raises(UnsupportedVolume, match="unevenly spaced"):
        read_scan(tmp_path / "series")


def test_time_points_at_one_place_are_noticed(tmp_path, voxels):
    write_series(tmp_path / "series", voxels, "1.2.3.4", ImagePositionPatient=[0, 0, 0])
    with pytest.raises(UnsupportedVolume, match="same position"):
        read_scan(tmp_path / "series")


def test_nothing_of_the_patient_is_kept(tmp_path, voxels):
    write_series(tmp_path / "series", voxels, "1.2.3.4")
    assert "Secret" not in repr(read_scan(tmp_path / "series"))


def test_files_opened_together_are_one_study_with_the_enhanced_t1_first(tmp_path, voxels):
    for name in ("case_flair", "case_t1", "case_t1ce"):
        SimpleITK.WriteImage(oblique_image(voxels), str(tmp_path / f"{name}.nii.gz"))
    (tmp_path / "notes.txt").write_text("nothing here")
    names = [scan.name for scan in read_scans(tmp_path)]
    assert names == ["case_t1ce.nii.gz", "case_flair.nii.gz", "case_t1.nii.gz"]
    for number in range(MAX_SEQUENCES):
        (tmp_path / f"{number}.nrrd").touch()
    with pytest.raises(UnsupportedVolume, match="has 19 volumes; a study has at most 16"):
        read_scans(tmp_path)


def test_all_series_of_a_folder_are_read_as_one_study_and_scouts_are_left_out(tmp_path, voxels):
    write_series(tmp_path / "study", voxels, "1.2", SeriesDescription="AX FLAIR", Modality="MR")
    write_series(tmp_path / "study", voxels[:, :4], "1.3", SeriesDescription="AX T1 +C", Modality="MR")
    write_series(tmp_path / "study", voxels[:1, :6], "1.4", SeriesDescription="Scout", Modality="MR")
    enhanced, flair = read_scans(tmp_path / "study", ALL_SERIES)
    assert (enhanced.name, enhanced.tags.description, flair.name) == ("AX T1 +C", "AX T1 +C", "AX FLAIR")
    np.testing.assert_array_equal(flair.voxels, voxels)


def test_patients_are_told_apart_without_their_names(tmp_path, voxels):
    said = {"a": {"PatientID": "7"}, "b": {"PatientID": "7", "PatientName": "Other^Spelling"}}
    said |= {"c": {"PatientID": "8"}, "d": {}, "e": {"PatientName": ""}}
    for name, changes in said.items():
        write_series(tmp_path / name, voxels, "1.2", **changes)
    a, b, c, d, e = (read_scan(tmp_path / name).tags.patient for name in said)
    assert a == b
    assert len({a, c, d}) == 3
    assert e == ""
    assert not {"7", "Secret^Name"} & {a, d}
