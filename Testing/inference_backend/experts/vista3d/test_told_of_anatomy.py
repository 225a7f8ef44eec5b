"""What the model and the person are told of a result with 89 structures: sizes, label table, legend, overlay.

All of it is worked out a second time here: sizes by SimpleITK, the picture by nibabel and plain arithmetic
after the published rules (axial, anterior up, the patient's right on the left; colours in a fixed order).
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from PIL import Image, ImageColor

from inference_backend.conversation.interfaces import View
from inference_backend.experts.feedback import Feedback, feedback
from inference_backend.experts.interface import Segmentation
from inference_backend.imaging.volume import Volume
from Testing.inference_backend.experts.simple_itk import itk_image
from Testing.inference_backend.experts.storage import stored_as
from Testing.inference_backend.experts.vista3d.anatomy import Knowing, published_names
from Testing.inference_backend.experts.vista3d.conftest import segmented
from VILAM3SlicerLib.protocol.messages import ViewGeometry

COLOURS = [
    "red", "blue", "yellow", "magenta", "green", "indigo", "darkorange", "cyan",
    "pink", "brown", "orange", "lime", "orange", "gold", "yellowgreen", "darkgreen",
]  # fmt: skip

FORMS: dict[str, Callable[[Volume], Volume]] = {
    "as stored": lambda volume: volume,
    "coronal slices": lambda volume: stored_as(volume, (2, 0, 1), (0, 1, 2)),
}

HEIGHT = 60
"""The slice, counted from below: heart, lungs, ribs, a vertebra, vessels."""


def in_ras(volume: Volume) -> nibabel.Nifti1Image:
    image = nibabel.Nifti1Image(volume.voxels.astype(np.int16), volume.ijk_to_ras)
    return nibabel.as_closest_canonical(image)


def axial(volume: Volume) -> np.ndarray:
    """A slice, rows from anterior, columns from the patient's right."""
    return np.asarray(in_ras(volume).dataobj)[::-1, ::-1, HEIGHT].T


def grey(volume: Volume) -> np.ndarray:
    """In the published window, 0 to 255."""
    return ((axial(volume).clip(-150, 250) + 150) / 400 * 255).astype(np.uint8)


def view_of(volume: Volume) -> View:
    canonical = in_ras(volume)
    columns, rows, _ = canonical.shape
    turned = np.array([[-1, 0, 0, columns - 1], [0, -1, 0, rows - 1], [0, 0, 1, HEIGHT], [0, 0, 0, 1.0]])
    matrix = tuple(float(number) for number in (canonical.affine @ turned).ravel())
    buffer = io.BytesIO()
    Image.fromarray(grey(volume)).save(buffer, "PNG")
    geometry = ViewGeometry("published", "axial", columns, rows, matrix, 400, 50)  # type: ignore[arg-type]
    return View(buffer.getvalue(), geometry)


@pytest.fixture(scope="module", params=FORMS)
def told(
    request: pytest.FixtureRequest, knowing: Knowing, coarse_chest: Volume
) -> tuple[Volume, Segmentation, Feedback]:
    volume = FORMS[request.param](coarse_chest)
    result = segmented(knowing.expert, "everything", volume)
    return volume, result, feedback(result, [view_of(volume)], tells_sizes=False)


def test_sizes_are_simple_itks_and_the_point_to_look_at_is_inside(
    told: tuple[Volume, Segmentation, Feedback], golden: Path
) -> None:
    _, result, answer = told
    image = itk_image(result.labelmap.voxels, result.labelmap.ijk_to_ras)
    statistics = SimpleITK.LabelShapeStatisticsImageFilter()
    statistics.Execute(image)
    names = {label: name for name, label in published_names(golden).items()}
    assert sorted(label for info in answer.segments for label in info.label_values) == list(
        statistics.GetLabels()
    )
    assert len(answer.segments) > 80
    for info in answer.segments:
        (label,) = info.label_values
        assert info.name == names[label]
        assert info.voxel_count == statistics.GetNumberOfPixels(label)
        assert info.volume_ml == pytest.approx(statistics.GetPhysicalSize(label) / 1000, rel=1e-6)
        assert info.center is not None
        right, anterior, superior = info.center
        at = image.TransformPhysicalPointToIndex((-right, -anterior, superior))
        assert image[at] == label


def test_the_legend_names_the_structures_in_the_slice_in_the_published_colours(
    told: tuple[Volume, Segmentation, Feedback], golden: Path
) -> None:
    _, result, answer = told
    names = {label: name for name, label in published_names(golden).items()}
    present = [int(label) for label in np.unique(axial(result.labelmap)) if label]
    assert len(present) > len(COLOURS)  # they start again
    described = [(COLOURS[number % len(COLOURS)], names[label]) for number, label in enumerate(present)]
    text = ", ".join(f"{colour}: {name}" for colour, name in described)
    assert answer.text == f"The results are <image>. The colors in this image describe {text}. "
    assert [(entry.colour, entry.segment) for entry in answer.legend] == described


def test_the_overlay_is_the_slice_with_its_labels_in_these_colours(
    told: tuple[Volume, Segmentation, Feedback],
) -> None:
    volume, result, answer = told
    assert answer.image is not None
    painted = np.asarray(Image.open(io.BytesIO(answer.image))).astype(float)
    labels = axial(result.labelmap)
    expected = 0.7 * np.repeat(grey(volume)[:, :, None], 3, 2)  # darkened where nothing is painted, too
    for number, label in enumerate(np.unique(labels[labels > 0])):
        colour = np.array(ImageColor.getrgb(COLOURS[number % len(COLOURS)]), float)
        here = labels == label
        expected[here] += 0.3 * colour
    np.testing.assert_allclose(painted, expected, atol=1.5)
    right_half = labels[:, : labels.shape[1] // 2]
    assert re.search("right lung", " ".join(entry.segment for entry in answer.legend))
    assert np.isin(right_half, (31, 32)).sum() > 10 * np.isin(right_half, (28, 29)).sum()
