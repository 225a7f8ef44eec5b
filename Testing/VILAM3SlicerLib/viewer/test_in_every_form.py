"""A conversation about a scan in every form that it may be stored in, also under a linear parent transform.

Each thing that reaches the wire, the screen, a file or a person is compared with what SimpleITK and nibabel
make of the same voxels and the same matrix; neither knows Slicer, and they count in opposite frames (LPS and
RAS).
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
from PIL import Image
from scipy.ndimage import map_coordinates

from Testing.VILAM3SlicerLib.scene.conftest import STORED_AS, affine, rotation
from Testing.VILAM3SlicerLib.viewer.conftest import SHAPE, segment_infos, two_organs
from VILAM3SlicerLib.chat.rows import answer_spans
from VILAM3SlicerLib.scene.segments_at import segment_at
from VILAM3SlicerLib.scene.size_table import find_table
from VILAM3SlicerLib.scene.views import slice_view
from VILAM3SlicerLib.viewer.report_desk import ReportDesk

VIEWS = {"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal"}
LABELS = {"liver": 1, "spleen": 2}
ANSWER = "The liver and the spleen are normal."
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
TURNED = affine(rotation(10, -20, 35), (1.0, 1.0, 1.0), (30.0, -12.0, 7.0))
FORMS = [
    pytest.param((STORED_AS[form], moved), id=f"{form}-{where}")
    for form in sorted(STORED_AS)
    for where, moved in (("plain", None), ("moved", TURNED))
]


class Case:
    """A scan in the scene, and the same voxels in the two libraries; ``moved``: its frame to the world."""

    def __init__(self, talk: Any, node: Any, voxels: np.ndarray, matrix: np.ndarray) -> None:
        self.talk, self.node, self.voxels = talk, node, voxels
        self.moved = np.eye(4)
        self.nifti = nibabel.Nifti1Image(voxels, matrix)
        self.labels = two_organs()
        self.itk = itk_image(voxels, matrix)
        self.itk_labels = itk_image(self.labels, matrix)

    def segment(self) -> None:
        self.talk.segment(self.labels, *LABELS)

    def ask_about_both(self) -> None:
        self.talk.ask()
        self.talk.call()
        infos = segment_infos(self.labels, tuple(LABELS))
        self.talk.result(self.labels, *(replace(one, volume_ml=self.millilitres(one.name)) for one in infos))
        self.talk.answer(ANSWER)
        self.talk.settle()

    def millilitres(self, name: str) -> float:
        """The size by SimpleITK."""
        shapes = SimpleITK.LabelShapeStatisticsImageFilter()
        shapes.Execute(self.itk_labels)
        return shapes.GetPhysicalSize(LABELS[name]) / 1000

    def file_with_segments(self, folder: Path) -> SimpleITK.Image:
        path = folder / "segments.seg.nrrd"
        self.talk.scan.save_segmentation(path)
        return SimpleITK.ReadImage(str(path))

    def label_at(self, world: np.ndarray) -> tuple[int, int]:
        """The label at a place in the world, by SimpleITK and by nibabel."""
        ras = np.linalg.inv(self.moved) @ [*world, 1.0]
        index = self.itk_labels.TransformPhysicalPointToIndex((LPS @ ras)[:3].tolist())
        ijk = np.rint(nibabel.affines.apply_affine(np.linalg.inv(self.nifti.affine), ras[:3])).astype(int)
        return int(self.itk_labels[index]), int(self.labels[tuple(ijk)])


def itk_image(voxels: np.ndarray, ijk_to_ras: np.ndarray) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(voxels.transpose(2, 1, 0))
    index_to_lps = LPS @ ijk_to_ras
    spacing = np.linalg.norm(index_to_lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((index_to_lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(index_to_lps[:3, 3].tolist())
    return image


@pytest.fixture(params=FORMS)
def case(request, talk, make_volume, make_view, put_under_transform) -> Case:
    matrix, moved = request.param
    voxels = np.random.default_rng(1).integers(-1000, 1000, SHAPE, dtype=np.int16)
    node = make_volume(voxels, matrix, "chest")
    case = Case(talk, node, voxels, matrix)
    if moved is not None:
        put_under_transform(node, moved)
        case.moved = moved
    for name, orientation in VIEWS.items():
        make_view(node, orientation, name=name)
    talk.discussion.open(node)
    return case


def assert_same_place(one: SimpleITK.Image, other: SimpleITK.Image) -> None:
    """The same grid, to the accuracy of the decimal numbers in a file."""
    assert one.GetSize() == other.GetSize()
    for corner in np.ndindex(2, 2, 2):
        index = [int(end * (size - 1)) for end, size in zip(corner, one.GetSize(), strict=True)]
        np.testing.assert_allclose(
            one.TransformIndexToPhysicalPoint(index), other.TransformIndexToPhysicalPoint(index), atol=1e-3
        )


def assert_labels(found: SimpleITK.Image, case: Case) -> None:
    """The labelled voxels of a segmentation file lie, in mm, where the expert's lie, and none is missing."""
    array = SimpleITK.GetArrayFromImage(found)
    on_grid = np.zeros(SHAPE, np.uint8)
    for k, j, i in np.argwhere(array):
        point = found.TransformIndexToPhysicalPoint((int(i), int(j), int(k)))
        on_grid[case.itk_labels.TransformPhysicalPointToIndex(point)] = array[k, j, i]
    values = {
        found.GetMetaData(f"Segment{number}_Name"): int(found.GetMetaData(f"Segment{number}_LabelValue"))
        for number in range(len(LABELS))
    }
    assert set(values) == set(LABELS)
    for name, label in LABELS.items():
        np.testing.assert_array_equal(on_grid == values[name], case.labels == label)


@pytest.mark.parametrize("name", VIEWS)
def test_capture_shows_what_lies_under_each_pixel_of_the_view(case, name):
    case.talk.scan.asked_view = name
    (image,) = case.talk.scan.capture("as_seen")
    grey = np.asarray(Image.open(io.BytesIO(image.png))).astype(float)
    xy_to_world = slice_view(case.talk.scan._app_logic, name).xy_to_world
    rows, columns = np.mgrid[0 : grey.shape[0] : 3, 0 : grey.shape[1] : 3]
    from_below = grey.shape[0] - 1 - rows
    screen = np.stack([columns, from_below, 0 * rows, 0 * rows + 1]).reshape(4, -1).astype(float)
    ras = np.linalg.inv(case.moved) @ xy_to_world @ screen
    indices = (np.linalg.inv(case.nifti.affine) @ ras)[:3]
    inside = np.all((indices > 0.01) & (indices < np.reshape(SHAPE, (3, 1)) - 1.01), axis=0)
    assert inside.sum() > 40
    by_nibabel = map_coordinates(case.voxels.astype(float), indices[:, inside], order=1)
    by_itk = [
        case.itk.EvaluateAtPhysicalPoint(point.tolist(), SimpleITK.sitkLinear)
        for point in (LPS @ ras)[:3, inside].T
    ]
    seen = grey[rows, columns].ravel()[inside]
    window, level = image.geometry.window, image.geometry.level
    for values in (by_nibabel, np.array(by_itk, float).ravel()):
        expected = np.clip((values - level + window / 2) * 255 / window, 0, 255)
        assert np.abs(seen - expected).max() <= 1.01 + 0.5 * 255 / window


def test_whole_slice_has_each_voxel_where_the_matrix_of_the_picture_says(case):
    case.talk.scan.modality = "CT"
    (image,) = case.talk.scan.capture("published")
    grey = np.asarray(Image.open(io.BytesIO(image.png))).astype(float)
    rows, columns = np.mgrid[: grey.shape[0], : grey.shape[1]]
    pixels = np.stack([columns, rows, 0 * rows, 0 * rows + 1]).reshape(4, -1)
    ras = np.reshape(image.geometry.pixel_to_ras, (4, 4)) @ pixels
    indices = nibabel.affines.apply_affine(np.linalg.inv(case.nifti.affine), ras[:3].T)
    np.testing.assert_allclose(indices, np.rint(indices), atol=1e-6)
    assert len(np.unique(np.rint(indices), axis=0)) == grey.size
    by_nibabel = case.voxels[tuple(np.rint(indices).astype(int).T)]
    by_itk = [case.itk[case.itk.TransformPhysicalPointToIndex(point.tolist())] for point in (LPS @ ras)[:3].T]
    window, level = image.geometry.window, image.geometry.level
    for values in (by_nibabel, np.array(by_itk)):
        expected = np.clip((values - level + window / 2) * 255 / window, 0, 255)
        assert np.abs(grey.ravel() - expected).max() <= 1.01
    right, down = np.reshape(image.geometry.pixel_to_ras, (4, 4))[:3, :2].T
    assert right[0] < 0 < -down[1]  # patient right on the left, anterior on top


def test_upload_is_the_scan_in_its_own_frame(case, tmp_path):
    case.talk.ask()
    (volume,) = case.talk.transport.volumes
    (tmp_path / "sent.nrrd").write_bytes(b"".join(bytes(piece) for piece in volume.pieces))
    sent = SimpleITK.ReadImage(str(tmp_path / "sent.nrrd"))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(sent), case.voxels.transpose(2, 1, 0))
    assert_same_place(sent, case.itk)
    SimpleITK.WriteImage(sent, str(tmp_path / "sent.nii"))
    nifti = nibabel.load(tmp_path / "sent.nii")
    np.testing.assert_array_equal(np.asanyarray(nifti.dataobj), case.voxels)
    np.testing.assert_allclose(nifti.affine, case.nifti.affine, atol=1e-4)


def test_overlay_lies_on_the_voxels_that_the_expert_meant(case, tmp_path):
    case.segment()
    assert_labels(case.file_with_segments(tmp_path), case)
    node = case.talk.scan.segmentation
    voxels = np.random.default_rng(2).integers(0, SHAPE, (60, 3))
    for ijk in (*voxels, *np.argwhere(case.labels)[::97]):
        ras = nibabel.affines.apply_affine(case.nifti.affine, ijk)
        world = (case.moved @ [*ras, 1.0])[:3]
        name = segment_at(node, world)
        assert LABELS.get(name or "", 0) == case.labels[tuple(ijk)] == case.label_at(world)[0]


def test_undo_leaves_the_other_turns_voxels_where_they_were(case, tmp_path):
    case.segment()
    before = case.file_with_segments(tmp_path)
    case.talk.segment(np.roll(case.labels, 2, axis=0), "liver", "kidney")
    case.talk.presenter.undo()
    case.talk.settle()
    after = case.file_with_segments(tmp_path)
    assert_labels(after, case)
    assert_same_place(before, after)
    case.talk.presenter.undo()
    case.talk.settle()
    assert case.talk.scan.rows() == []


def planes_meet(case) -> np.ndarray:
    """The point of the world that all three views show."""
    planes = [slice_view(case.talk.scan._app_logic, name).xy_to_world for name in VIEWS]
    normals = np.array([plane[:3, 2] / np.linalg.norm(plane[:3, 2]) for plane in planes])
    offsets = [normal @ plane[:3, 3] for normal, plane in zip(normals, planes, strict=True)]
    return np.linalg.solve(normals, offsets)


def follow_links(case) -> None:
    """Click on each name in the last answer."""
    (turn,) = case.talk.presenter.turns
    links = [span.segment for span in answer_spans(turn, case.talk.scan.rows()) if span.segment]
    assert links == ["liver", "spleen"]
    for name in links:
        case.talk.scan.go_to_name(name)
        assert case.label_at(planes_meet(case)) == (LABELS[name], LABELS[name])


def test_links_bring_all_views_into_the_segment(case):
    case.ask_about_both()
    follow_links(case)


def test_report_list_and_table_tell_the_sizes_that_the_libraries_measure(case):
    case.ask_about_both()
    case.talk.host.run(until=lambda: find_table(case.talk.scene, case.node) is not None)
    desk = ReportDesk(case.talk.presenter, case.talk.scan, case.talk.scene)
    desk.refresh()
    table = find_table(case.talk.scene, case.node).GetTable()
    voxel_ml = float(np.prod(nibabel.affines.voxel_sizes(case.nifti.affine))) / 1000
    for line, (name, value) in enumerate(LABELS.items()):
        size = case.millilitres(name)
        assert (case.labels == value).sum() * voxel_ml == pytest.approx(size)
        assert case.talk.scan.rows()[line].volume_ml == pytest.approx(size)
        assert table.GetValueByName(line, "volume_ml").ToDouble() == pytest.approx(size, abs=5e-4)
        said = next(text for text in desk.text().splitlines() if f"- {name}:" in text.lower())
        assert float(said.split(" mL")[0].split()[-1]) == pytest.approx(size, abs=0.051)


def test_a_saved_scene_holds_scan_segments_links_and_conversation_in_their_places(case, app, tmp_path):
    case.ask_about_both()
    assert app.io_manager.save_scene(str(tmp_path / "scene.mrb"))
    with zipfile.ZipFile(tmp_path / "scene.mrb") as bundle:
        bundle.extractall(tmp_path)
    files = {path.name: SimpleITK.ReadImage(str(path)) for path in tmp_path.rglob("*.nrrd")}
    scan, segments = files["chest.nrrd"], files["chest segmentation.seg.nrrd"]
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(scan), case.voxels.transpose(2, 1, 0))
    assert_same_place(scan, case.itk)
    assert_labels(segments, case)
    case.talk.scene.Clear(0)
    assert app.io_manager.load_scene(str(tmp_path / "scene.mrb"))
    assert case.talk.scan.node.GetName() == "chest"
    assert case.talk.presenter.turns[0].text == ANSWER
    follow_links(case)
    assert_labels(case.file_with_segments(tmp_path), case)
