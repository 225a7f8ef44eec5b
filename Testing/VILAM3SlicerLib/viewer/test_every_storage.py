"""A conversation on scans in every storage, from the question to the loaded scene, against SimpleITK."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from Testing.VILAM3SlicerLib.scene.conftest import ijk_to_ras  # noqa: F401 - a fixture
from Testing.VILAM3SlicerLib.viewer.conftest import SHAPE, two_organs
from VILAM3SlicerLib.protocol.nrrd import decode_nrrd
from VILAM3SlicerLib.viewer.report_desk import ReportDesk

NAMES = ("liver", "spleen")
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture
def stored(talk, make_volume, make_view, ijk_to_ras):  # noqa: F811
    """A scan in one of the storages, in three views, whose two organs were found."""
    voxels = np.random.default_rng(1).integers(-1000, 1000, SHAPE, dtype=np.int16)
    node = make_volume(voxels, ijk_to_ras, "scan")
    for name, orientation in (("Red", "Axial"), ("Green", "Coronal"), ("Yellow", "Sagittal")):
        make_view(node, orientation, (90, 70), name)
    talk.discussion.open(node)
    talk.segment(two_organs(), *NAMES)
    talk.host.run(until=lambda: not talk.scan.sizes.is_measuring)
    return node, voxels


def masks(image: SimpleITK.Image) -> dict[str, SimpleITK.Image]:
    """The segments of a file by name."""
    keys = [key for key in image.GetMetaDataKeys() if key.endswith("_Name")]
    values = {
        image.GetMetaData(key): int(image.GetMetaData(key.replace("Name", "LabelValue"))) for key in keys
    }
    return {name: image == value for name, value in values.items()}


def crossing(talk) -> np.ndarray:
    """Where the planes of the three views meet, LPS in mm."""
    from VILAM3SlicerLib.scene.views import slice_view

    planes = []
    for name in ("Red", "Green", "Yellow"):
        matrix = slice_view(talk.scan._app_logic, name).node.GetSliceToRAS()
        planes.append([[matrix.GetElement(row, column) for column in (2, 3)] for row in range(3)])
    normals, origins = np.array(planes)[:, :, 0], np.array(planes)[:, :, 1]
    return np.linalg.solve(normals, (normals * origins).sum(axis=1)) * (-1, -1, 1)


def test_what_goes_up_is_the_scan_in_its_place(talk, stored, ijk_to_ras, tmp_path) -> None:  # noqa: F811
    _, voxels = stored
    sent = b"".join(bytes(piece) for piece in talk.transport.volumes[-1].pieces)
    (tmp_path / "sent.nrrd").write_bytes(sent)
    assert decode_nrrd(sent).shape == SHAPE
    image = SimpleITK.ReadImage(str(tmp_path / "sent.nrrd"))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), voxels.transpose(2, 1, 0))
    for index in ((0, 0, 0), (3, 7, 5), tuple(size - 1 for size in SHAPE)):
        expected = (LPS @ ijk_to_ras @ (*index, 1))[:3]
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(index), expected, atol=1e-4)


def test_report_links_and_voxels_after_saving_and_loading(talk, stored, ijk_to_ras, app, tmp_path) -> None:  # noqa: F811
    before = {row.name: row.volume_ml for row in talk.scan.rows()}
    assert app.io_manager.save_scene(str(tmp_path / "scene.mrb"))
    talk.scene.Clear(0)
    assert talk.scan.rows() == []
    assert app.io_manager.load_scene(str(tmp_path / "scene.mrb"))
    talk.host.run(until=lambda: not talk.scan.sizes.is_measuring)
    assert {row.name: row.volume_ml for row in talk.scan.rows()} == pytest.approx(before)
    saved = masks(_segmentation_in(tmp_path / "scene.mrb", tmp_path))
    desk, statistics = (
        ReportDesk(talk.presenter, talk.scan, talk.scene),
        SimpleITK.LabelShapeStatisticsImageFilter(),
    )
    desk.refresh()
    for value, name in enumerate(NAMES, 1):
        statistics.Execute(saved[name])
        millilitres = statistics.GetPhysicalSize(1) / 1000
        assert before[name] == pytest.approx(millilitres, rel=1e-6)
        (told,) = re.findall(rf"{name.capitalize()}: ([\d.]+) mL", desk.text())
        assert float(told) == pytest.approx(millilitres, abs=0.05)
        talk.scan.go_to_name(name)
        index = np.linalg.inv(LPS @ ijk_to_ras) @ (*crossing(talk), 1)
        assert two_organs()[tuple(np.round(index[:3]).astype(int))] == value
        assert saved[name][saved[name].TransformPhysicalPointToIndex(crossing(talk).tolist())] == 1
    talk.presenter.undo()
    talk.settle()
    assert talk.scan.rows() == []


def _segmentation_in(scene: Path, folder: Path) -> SimpleITK.Image:
    with zipfile.ZipFile(scene) as archive:
        (name,) = [one for one in archive.namelist() if one.endswith(".seg.nrrd")]
        return SimpleITK.ReadImage(archive.extract(name, folder))
