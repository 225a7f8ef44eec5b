"""Radiographs from DICOM: bright is high, the window fits, and what the file could have held is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from browser_viewer.loading import read_scan
from browser_viewer.slicer_views import add_scan
from inference_backend.experts.cxr.image import read_radiograph
from inference_backend.imaging.volume import Volume
from Testing.browser_viewer.radiographs import write_radiograph
from VILAM3SlicerLib.protocol.errors import UnsupportedVolume
from VILAM3SlicerLib.scene.flat_scans import view_of
from VILAM3SlicerLib.scene.geometry import ijk_to_ras
from VILAM3SlicerLib.scene.published import publish
from VILAM3SlicerLib.scene.stored_range import range_of_tags, stored_range

DEPTHS = (8, 10, 12, 15, 16)


@pytest.fixture(scope="session")
def real(data_folder: Path) -> Path:
    path = data_folder / "radiograph" / "RG1_UNCR.dcm"
    if not path.is_file():
        pytest.skip("the radiograph is not there: python3 setup_backend.py test fetches it")
    return path


@pytest.fixture(scope="module")
def scene():
    from trame_slicer.core import SlicerApp

    return SlicerApp().scene


@pytest.mark.parametrize("bits", DEPTHS)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(("slope", "intercept"), [(None, None), (0.5, -100), (2, 0)])
def test_the_expert_gets_what_the_library_would_read(tmp_path, bits, photometric, slope, intercept):
    """torchxrayvision 1.5.7 (``read_xray_dcm``): stored values, turned within their bits, by the highest."""
    dtype = np.uint8 if bits == 8 else np.uint16
    stored = np.random.default_rng(bits).integers(0, 2 ** (bits - 1), (70, 64)).astype(dtype)
    tags = {} if slope is None else {"RescaleSlope": slope, "RescaleIntercept": intercept}
    scan = read_scan(
        write_radiograph(tmp_path / "a.dcm", stored, bits, PhotometricInterpretation=photometric, **tags)
    )
    highest = 2**bits - 1
    data = (highest - stored if photometric == "MONOCHROME1" else stored).astype(np.float32)
    expected = (2 * (data / highest) - 1.0) * 1024
    volume = Volume(scan.voxels.transpose(2, 1, 0), scan.ijk_to_ras)
    found = read_radiograph(volume, "CXR", scan.tags.stored_range).pixels
    np.testing.assert_allclose(found, expected[3:67], atol=0.01)


def test_the_window_of_an_inverted_image_is_turned_with_it(tmp_path):
    stored = np.linspace(0, 4095, 80 * 80).astype(np.uint16).reshape(80, 80)
    window = {"WindowCenter": 1000, "WindowWidth": 600}
    plain = read_scan(write_radiograph(tmp_path / "2.dcm", stored, 12, **window))
    inverted = read_scan(
        write_radiograph(tmp_path / "1.dcm", stored, 12, PhotometricInterpretation="MONOCHROME1", **window)
    )
    assert (plain.tags.window, plain.tags.level) == (600, 1000)
    assert (inverted.tags.window, inverted.tags.level) == (600, 3095)
    below = stored < 1000
    assert (plain.voxels[0][below] < plain.tags.level).all()
    assert (inverted.voxels[0][below] > inverted.tags.level).all()


def test_signed_values_and_tags_that_say_nothing(tmp_path):
    stored = np.linspace(-2048, 2047, 80 * 80).astype(np.int16).reshape(80, 80)
    assert read_scan(write_radiograph(tmp_path / "a.dcm", stored, 12)).tags.stored_range == (-2048, 2047)
    assert range_of_tags(lambda tag: "") is None
    assert range_of_tags(lambda tag: {"0028,0101": "12", "0028,1053": "0"}.get(tag, "")) is None


def test_the_real_radiograph_is_bright_where_the_spine_is(real, scene):
    raw = pydicom.dcmread(real)
    scan = read_scan(real)
    np.testing.assert_array_equal(scan.voxels[0], 2**15 - 1 - raw.pixel_array)
    assert (scan.tags.modality, scan.tags.stored_range) == ("CR", (0.0, 32767.0))
    assert (scan.tags.window, scan.tags.level) == (30000, 32767 - 15000)
    node = add_scan(scene, scan)
    assert stored_range(node) == (0.0, 32767.0)
    rows, columns = scan.voxels.shape[1:]
    spine = scan.voxels[0, rows // 2 : rows * 3 // 4, columns * 47 // 100 : columns * 53 // 100]
    corner = scan.voxels[0, : rows // 20, : columns // 20]
    assert np.median(spine) > np.median(corner)


def test_slicers_own_reader_turns_it_too(real, scene):
    """The desktop's volume node holds the same values, with nothing said of their bits."""
    import slicer

    from VILAM3SlicerLib.scene.volumes import voxel_array

    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    storage = scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    assert isinstance(storage, slicer.vtkMRMLVolumeArchetypeStorageNode)
    storage.SetFileName(str(real))
    storage.SetSingleFile(1)
    assert storage.ReadData(node)
    np.testing.assert_array_equal(voxel_array(node), read_scan(real).voxels)
    assert stored_range(node) is None


def test_what_itk_cannot_turn_is_refused_with_a_reason(tmp_path):
    stored = np.zeros((80, 80), np.int16)
    path = write_radiograph(tmp_path / "a.dcm", stored, 12, PhotometricInterpretation="MONOCHROME1")
    with pytest.raises(UnsupportedVolume, match="cannot be read as an image"):
        read_scan(path)


@pytest.mark.parametrize(
    ("mode", "suffix"), [("L", ".png"), ("RGB", ".png"), ("L", ".jpg"), ("RGB", ".jpeg")]
)
def test_radiographs_that_were_saved_as_pictures_are_one_slice(tmp_path, mode, suffix):
    grey = np.add.outer(np.arange(90), np.arange(80)).astype(np.uint8)
    Image.fromarray(grey).convert(mode).save(tmp_path / f"cxr{suffix}", quality=95)
    scan = read_scan(tmp_path / f"cxr{suffix}")
    assert scan.voxels.shape == (1, 90, 80)
    assert scan.voxels.dtype == np.uint8
    np.testing.assert_allclose(scan.voxels[0].astype(int), grey, atol=4)
    np.testing.assert_allclose(scan.ijk_to_ras @ (1, 2, 0, 1), (-1, -2, 0, 1))


@pytest.mark.parametrize(
    ("sides", "right", "down"),
    [
        (["L", "F"], (-1, 0, 0), (0, 0, -1)),
        (["R", "F"], (1, 0, 0), (0, 0, -1)),
        (["P", "F"], (0, -1, 0), (0, 0, -1)),
        (["A", "F"], (0, 1, 0), (0, 0, -1)),
        (["LF", "FR"], (-1, 0, 0), (0, 0, -1)),
        (["L", ""], (-1, 0, 0), (0, -1, 0)),
    ],
)
def test_sides_that_the_file_names_are_where_the_image_lies(tmp_path, sides, right, down):
    """In RAS; a mirrored radiograph is turned for the expert, so that the patient's right is on the left."""
    stored = np.random.default_rng(4).integers(0, 4095, (80, 80)).astype(np.uint16)
    scan = read_scan(write_radiograph(tmp_path / "a.dcm", stored, 12, PatientOrientation=sides))
    np.testing.assert_allclose(scan.ijk_to_ras[:3, 0], right)
    np.testing.assert_allclose(scan.ijk_to_ras[:3, 1], down)
    pixels = read_radiograph(Volume(scan.voxels.transpose(2, 1, 0), scan.ijk_to_ras), "CXR").pixels
    mirrored = right in ((1, 0, 0), (0, 1, 0))
    assert pixels.argmax() == (stored[:, ::-1] if mirrored else stored).argmax()


@pytest.mark.parametrize("sides", [["L", "F"], ["R", "F"], ["P", "F"], ["L", "P"]])
def test_the_view_and_the_whole_slice_show_all_of_a_flat_scan(tmp_path, scene, sides):
    stored = np.random.default_rng(5).integers(0, 4095, (70, 90)).astype(np.uint16)
    node = add_scan(
        scene, read_scan(write_radiograph(tmp_path / "a.dcm", stored, 12, PatientOrientation=sides))
    )
    expected = {"LF": "Green", "RF": "Green", "PF": "Yellow", "LP": "Red"}["".join(sides)]
    assert view_of(node) == expected
    picture = publish(node, (0.0, 0.0, 0.0), "CXR")
    assert picture.pixels.shape == stored.shape
    shown = stored[:, ::-1] if sides[0] == "R" else stored
    assert picture.pixels.argmax() == shown.argmax()
    row, column = np.unravel_index(picture.pixels.argmax(), stored.shape)
    inverse = np.linalg.inv(ijk_to_ras(node))
    i, j, *_ = inverse @ picture.pixel_to_ras @ (column, row, 0, 1)
    assert stored[round(j), round(i)] == stored.max()
