"""Points on a real CT, straight and oblique: they reach the network in the voxel that the person marked.

The network here knows the reference labels (see ``anatomy``) and segments what lies under the points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import SimpleITK
import torch
from scipy import ndimage

from inference_backend.imaging.volume import Volume
from Testing.inference_backend.experts.simple_itk import itk_image, sampled, slanting
from Testing.inference_backend.experts.storage import stored_as
from Testing.inference_backend.experts.vista3d.anatomy import Anatomy, Knowing, dice
from Testing.inference_backend.experts.vista3d.conftest import segmented
from VILAM3SlicerLib.protocol.errors import ExpertError
from VILAM3SlicerLib.protocol.messages import PointPrompt

AORTA, VERTEBRA_T9, SPLEEN, STOMACH, TUMOUR, NOTHING = 6, 41, 3, 12, 26, 255


@dataclass
class SegmentsUnderPoints:
    """Stands for the network's point branch: positive points take their voxel's structure, negative none."""

    asked: list[tuple[np.ndarray, list[int], int | None]] = field(default_factory=list)
    windows: list[tuple[slice, ...]] = field(default_factory=list)

    def __call__(
        self,
        image: Any,
        *,
        point_coords: Any,
        point_labels: Any,
        patch_coords: Any,
        class_vector: Any,
        **others: Any,
    ) -> Any:
        (window,) = patch_coords
        kinds = point_labels[0].tolist()
        self.asked.append(
            (point_coords[0].numpy(), kinds, None if class_vector is None else int(class_vector))
        )
        self.windows.append(window[2:])
        labels = image[0, 0]
        wanted: set[float] = set()
        unwanted: set[float] = set()
        for point, kind in zip(point_coords[0], kinds, strict=True):
            place = [round(float(at)) - cut.start for at, cut in zip(point, window[2:], strict=True)]
            inside = all(0 <= at < size for at, size in zip(place, labels.shape, strict=True))
            if inside:
                (wanted if kind % 2 else unwanted).add(float(labels[tuple(place)]))
        found = torch.isin(labels, torch.tensor(sorted(wanted - unwanted)))
        return torch.where(found, 1.0, -1.0)[None, None]


@pytest.fixture
def clicked(knowing: Knowing, monkeypatch: pytest.MonkeyPatch) -> SegmentsUnderPoints:
    """Windows are smaller than the image, which is then not padded."""
    network, windows = SegmentsUnderPoints(), knowing.model.windows
    monkeypatch.setattr(knowing.model, "network", network)
    monkeypatch.setattr(knowing.model, "windows", type(windows)((64, 64, 64), windows.overlap))
    return network


def middle_of(anatomy: Anatomy, label: int, level: int | None = None) -> tuple[float, float, float]:
    """RAS of the voxel deepest inside a structure, by SimpleITK; ``level`` is a slice to look in."""
    labels = anatomy.labels
    depth = ndimage.distance_transform_edt(labels.voxels == label, sampling=labels.spacing)
    if level is not None:
        depth[:, :, :level] = depth[:, :, level + 1 :] = 0
    assert depth.any()
    deepest = [int(at) for at in np.unravel_index(depth.argmax(), depth.shape)]
    image = itk_image(labels.voxels, labels.ijk_to_ras)
    left, posterior, superior = image.TransformIndexToPhysicalPoint(deepest)
    return -left, -posterior, superior


def expected_on(
    volume: Volume, knowing: Knowing, network: SegmentsUnderPoints, inside: int, outside: int
) -> np.ndarray:
    """Where one structure lies in the windows that the network was shown, and another outside of them."""
    shape, matrix = knowing.model.grids[-1]
    shown = np.zeros(shape, bool)
    for window in network.windows:
        shown[window] = True
    labels = knowing.anatomy.on_grid(shape, matrix)
    on_grid = itk_image(np.where(shown, labels == inside, labels == outside).astype(np.uint8), matrix)
    nearest = SimpleITK.sitkNearestNeighbor
    return sampled(on_grid, volume.voxels.shape, volume.ijk_to_ras, nearest, 0) > 0


FORMS: dict[str, Callable[[Volume], Volume]] = {
    "as stored": lambda volume: volume,
    "coronal slices": lambda volume: stored_as(volume, (2, 0, 1), (0, 1, 2)),
    "oblique": slanting,
}


@pytest.mark.parametrize("form", FORMS)
def test_a_point_reaches_the_network_in_the_voxel_that_was_marked(
    knowing: Knowing, clicked: SegmentsUnderPoints, coarse_chest: Volume, form: str
) -> None:
    placed = [middle_of(knowing.anatomy, SPLEEN), middle_of(knowing.anatomy, STOMACH)]
    points = [PointPrompt(placed[0], True), PointPrompt(placed[1], False)]
    segmented(knowing.expert, "", FORMS[form](coarse_chest), *points)
    shape, matrix = knowing.model.grids[-1]
    grid = itk_image(np.zeros(shape, np.uint8), matrix)
    for coordinates, kinds, structure in clicked.asked:
        assert (kinds, structure) == ([1, 0], None)
        for (right, anterior, superior), at in zip(placed, coordinates, strict=True):
            expected = grid.TransformPhysicalPointToContinuousIndex((-right, -anterior, superior))
            np.testing.assert_allclose(at, expected, atol=1e-3)


@pytest.mark.parametrize("form", FORMS)
def test_a_structure_without_a_name_is_added_by_points(
    knowing: Knowing, clicked: SegmentsUnderPoints, coarse_chest: Volume, form: str
) -> None:
    volume = FORMS[form](coarse_chest)
    placed = [
        PointPrompt(middle_of(knowing.anatomy, SPLEEN), True),
        PointPrompt(middle_of(knowing.anatomy, STOMACH), False),
    ]
    result = segmented(knowing.expert, "everything", volume, *placed)
    (segment,) = result.segments
    assert (segment.name, segment.label_values) == ("structure at the points", (255,))
    expected = expected_on(volume, knowing, clicked, inside=SPLEEN, outside=NOTHING)
    assert expected.sum() > 1000
    assert dice(result.labelmap.voxels > 0, expected) > 0.99  # the reference has specks apart from it


def test_points_correct_a_named_structure_inside_their_windows_only(
    knowing: Knowing, clicked: SegmentsUnderPoints, coarse_chest: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The person says that a vertebra is what was meant, and the aorta beside it is not."""
    windows = knowing.model.windows
    monkeypatch.setattr(knowing.model, "windows", type(windows)((32, 32, 32), windows.overlap))
    vertebra = middle_of(knowing.anatomy, VERTEBRA_T9)
    level = round(float((knowing.anatomy.labels.ras_to_ijk @ [*vertebra, 1])[2]))
    aorta = middle_of(knowing.anatomy, AORTA, level)
    result = segmented(
        knowing.expert, "aorta", coarse_chest, PointPrompt(vertebra, True), PointPrompt(aorta, False)
    )
    assert [(one.name, one.label_values) for one in result.segments] == [("aorta", (AORTA,))]
    assert {structure for _, _, structure in clicked.asked} == {AORTA}
    expected = expected_on(coarse_chest, knowing, clicked, inside=VERTEBRA_T9, outside=AORTA)
    found, reference = result.labelmap.voxels, knowing.anatomy.labels.voxels
    np.testing.assert_array_equal(found == AORTA, expected)
    for label in (AORTA, VERTEBRA_T9):
        assert (expected & (reference == label)).sum() > 500


def test_points_of_a_tumour_are_of_the_kinds_that_its_class_has(
    knowing: Knowing, clicked: SegmentsUnderPoints, coarse_chest: Volume
) -> None:
    at = middle_of(knowing.anatomy, SPLEEN)
    points = PointPrompt(at, True), PointPrompt(middle_of(knowing.anatomy, STOMACH), False)
    segmented(knowing.expert, "hepatic tumor", coarse_chest, *points)
    assert {(tuple(kinds), structure) for _, kinds, structure in clicked.asked} == {((3, 2), TUMOUR)}


def test_a_point_beside_the_patient_is_refused_with_what_to_do(
    knowing: Knowing, clicked: SegmentsUnderPoints, coarse_chest: Volume
) -> None:
    with pytest.raises(ExpertError, match="outside") as error:
        segmented(knowing.expert, "spleen", coarse_chest, PointPrompt((600.0, 0.0, -100.0), True))
    assert "structure" in error.value.hint
