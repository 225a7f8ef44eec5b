"""The real CT, the demo model and a real expert on Slicer Core, from the question to the saved scene.

Each thing is held against another program's reading of the same files.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from PIL import Image

from VILAM3SlicerLib.chat.links import linked
from VILAM3SlicerLib.chat.presenter import Presenter
from VILAM3SlicerLib.connection.address import read_address
from VILAM3SlicerLib.connection.blocking_http import BlockingHost, BlockingHttp
from VILAM3SlicerLib.connection.transport import BackendTransport
from VILAM3SlicerLib.viewer.ask import NamedByTheScript
from VILAM3SlicerLib.viewer.discussion import Discussion
from VILAM3SlicerLib.viewer.report_desk import ReportDesk
from VILAM3SlicerLib.viewer.scan_scene import ScanScene

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Case:
    """The scan open in the views, and a conversation about it; the lungs were asked for."""

    def __init__(self, app: Any, backend: Any, chest_ct: Path) -> None:
        from browser_viewer.loading import read_scan
        from browser_viewer.slicer_views import OffscreenViews, add_scan

        self.app = app
        self.host = BlockingHost()
        self.scan = ScanScene(app.scene, app.app_logic, self.host)
        http = BlockingHttp(read_address(backend.url), NamedByTheScript(), backend.key, self.host)
        self.presenter = Presenter(BackendTransport(http), self.scan, self.host)
        self.discussion = Discussion(self.presenter, self.scan, app.scene)
        self.desk = ReportDesk(self.presenter, self.scan, app.scene)
        self.views = OffscreenViews(app, (500, 400))
        node = add_scan(app.scene, read_scan(chest_ct, ""))
        self.discussion.open(node)
        self.views.show(node)
        self.presenter.ask("Segment the lungs.", "CT", "as_seen")
        self.settle()

    def settle(self) -> None:
        self.host.run(until=lambda: self.presenter.is_settled and not self.scan.sizes.is_measuring)

    def masks(self, folder: Path) -> dict[str, SimpleITK.Image]:
        """The segments by name, on the grid of the scan, as SimpleITK reads their file."""
        path = folder / "segments.seg.nrrd"
        self.scan.save_segmentation(path)
        labels = SimpleITK.ReadImage(str(path))
        keys = [key for key in labels.GetMetaDataKeys() if key.endswith("_Name")]
        return {
            labels.GetMetaData(key): labels == int(labels.GetMetaData(key.replace("_Name", "_LabelValue")))
            for key in keys
        }


@pytest.fixture(scope="module")
def case(demo_backend: Any, chest_ct: Path) -> Iterator[Case]:
    from browser_viewer.slicer_views import create_slicer

    case = Case(create_slicer(), demo_backend, chest_ct)
    yield case
    case.discussion.close()
    case.scan.close()


def test_the_picture_that_was_sent_is_the_file_as_simpleitk_reads_it(case: Case, chest_ct: Path) -> None:
    (image,) = case.presenter.turns[0].question.images
    grey = np.asarray(Image.open(io.BytesIO(image.png))).astype(float)
    file = SimpleITK.ReadImage(str(chest_ct))
    window, level = image.geometry.window, image.geometry.level
    compared = 0
    for row, column in product(range(0, grey.shape[0], 9), range(0, grey.shape[1], 9)):
        ras = np.reshape(image.geometry.pixel_to_ras, (4, 4)) @ (column, row, 0, 1)
        lps = (-ras[0], -ras[1], ras[2])
        index = np.array(file.TransformPhysicalPointToContinuousIndex(lps))
        if np.all((index > 0.01) & (index < np.array(file.GetSize()) - 1.01)):
            value = file.EvaluateAtPhysicalPoint(lps, SimpleITK.sitkLinear)
            expected = np.clip((value - level + window / 2) * 255 / window, 0, 255)
            assert abs(grey[row, column] - expected) <= 1.01 + 0.5 * 255 / window
            compared += 1
    assert compared > 500


def test_sizes_in_list_table_and_report_are_those_of_the_saved_voxels(case: Case, tmp_path: Path) -> None:
    statistics = SimpleITK.LabelShapeStatisticsImageFilter()
    case.desk.refresh()
    report = case.desk.text()
    sizes = {row.name: row.volume_ml for row in case.scan.rows()}
    assert {"left lung", "right lung"} <= set(sizes)
    for name, mask in case.masks(tmp_path).items():
        statistics.Execute(mask)
        millilitres = statistics.GetPhysicalSize(1) / 1000
        assert sizes[name] == pytest.approx(millilitres, rel=1e-6)
        assert f"{name.capitalize()}: {millilitres:,.0f} mL. [expert: CT_TISSUE" in report


def test_a_name_in_the_answer_brings_each_view_into_that_segment(case: Case, tmp_path: Path) -> None:
    (turn,) = case.presenter.turns
    named = [span.segment for span in linked(turn.text, [one.name for one in turn.segments]) if span.segment]
    masks = case.masks(tmp_path)
    assert named
    for name in dict.fromkeys(named):
        case.scan.go_to_name(name)
        planes = [slice_plane(case.app, view) for view in ("Red", "Green", "Yellow")]
        crossing = np.linalg.solve([normal for normal, _ in planes], [offset for _, offset in planes])
        place = masks[name].TransformPhysicalPointToIndex((-crossing[0], -crossing[1], crossing[2]))
        assert masks[name][place] == 1


def slice_plane(app: Any, view: str) -> tuple[np.ndarray, float]:
    """The plane of a view: its normal and the offset along it, RAS in mm."""
    from VILAM3SlicerLib.scene.views import slice_view

    matrix = slice_view(app.app_logic, view).node.GetSliceToRAS()
    normal = np.array([matrix.GetElement(row, 2) for row in range(3)])
    origin = np.array([matrix.GetElement(row, 3) for row in range(3)])
    return normal, float(normal @ origin)


def test_follow_up_saving_loading_and_undo(case: Case, tmp_path: Path) -> None:
    case.presenter.ask("What kind of image is this?", "CT", "as_seen")
    case.settle()
    before = {name: SimpleITK.GetArrayFromImage(mask).sum() for name, mask in case.masks(tmp_path).items()}
    texts = [turn.text for turn in case.presenter.turns]
    assert case.app.io_manager.save_scene(str(tmp_path / "case.mrb"))
    case.app.scene.Clear(0)
    assert case.presenter.turns == ()
    assert case.app.io_manager.load_scene(str(tmp_path / "case.mrb"))
    case.settle()
    assert [turn.text for turn in case.presenter.turns] == texts
    after = {name: SimpleITK.GetArrayFromImage(mask).sum() for name, mask in case.masks(tmp_path).items()}
    assert after == before
    for _ in range(2):
        case.presenter.undo()
        case.settle()
    assert (case.presenter.turns, case.scan.rows()) == ((), [])
    assert case.scan.node.GetName() == "cxr.nii.gz"
