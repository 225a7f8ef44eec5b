"""Prompts, windows and geometry on a chest CT with 89 reference labels.

The network knows the labels (see ``anatomy``), so the right answer is known: voxel for voxel what SimpleITK
makes of them over the network's grid, and the reference itself wherever that detour cannot have changed it.
Most spacings here are such that no voxel centre lies right between two others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import torch

from inference_backend.conversation.model_cards import VISTA3D
from inference_backend.experts.interface import Segmentation
from inference_backend.experts.measurement import measure
from inference_backend.imaging.volume import Volume
from Testing.inference_backend.experts.simple_itk import itk_image, sampled, slanting
from Testing.inference_backend.experts.storage import ORDERS, cropped, every, stored_as, tilted
from Testing.inference_backend.experts.vista3d.anatomy import (
    Anatomy,
    Knowing,
    MakeKnowing,
    dice,
    published_names,
)
from Testing.inference_backend.experts.vista3d.bundle import INFERENCE
from Testing.inference_backend.experts.vista3d.conftest import SPACING, segmented

LUNG_TUMOUR = 23

PARTS = {20: range(28, 33), 2: (14, 5), 21: (*range(33, 57), *range(63, 98), 114, 120, 122)}
"""What the released bundle is prompted with for a lung, a kidney and a bone."""


def detour(knowing: Knowing, volume: Volume) -> np.ndarray:
    """SimpleITK's way: the reference onto the network's newest grid, and from there onto the scan's."""
    shape, matrix = knowing.model.grids[-1]
    on_grid = itk_image(knowing.anatomy.on_grid(shape, matrix), matrix)
    nearest = SimpleITK.sitkNearestNeighbor
    return sampled(on_grid, volume.voxels.shape, volume.ijk_to_ras, nearest, 0)


def assert_in_place(result: Segmentation, volume: Volume, knowing: Knowing, ties: float = 0.0) -> None:
    """``ties`` is the fraction of voxels that may lie right between two and go either way."""
    found = result.labelmap.voxels
    np.testing.assert_array_equal(result.labelmap.ijk_to_ras, volume.ijk_to_ras)
    assert (found != detour(knowing, volume)).mean() <= ties
    reference = knowing.anatomy.on_grid(volume.voxels.shape, volume.ijk_to_ras)
    certain = knowing.anatomy.beyond_doubt(volume, knowing.spacing)
    assert len(np.unique(reference[certain])) > 5
    assert not (found != reference)[certain].any()


def only(labels: np.ndarray, wanted: Iterable[int]) -> np.ndarray:
    """Labels of these structures; of those that have parts, the parts'."""
    parts = [part for label in wanted for part in PARTS.get(label, (label,))]
    return np.where(np.isin(labels, parts), labels, 0)


@pytest.fixture(scope="module")
def everything(knowing: Knowing, coarse_chest: Volume) -> np.ndarray:
    """The labels as they come back from the network's grid, all but a cyst that falls between its voxels."""
    result = segmented(knowing.expert, "everything", coarse_chest)
    assert_in_place(result, coarse_chest, knowing)
    assert len(np.unique(result.labelmap.voxels)) == 1 + 88
    return result.labelmap.voxels


@pytest.fixture(scope="module")
def groups(golden: Path) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = json.loads((golden / "label_groups.json").read_text())
    return {name: labels for name, labels in found.items() if name != "everything"}


@pytest.mark.parametrize("argument", [*VISTA3D.arguments, "hepatoma"])
def test_every_group_of_the_published_card_gives_its_structures_and_no_other(
    knowing: Knowing,
    coarse_chest: Volume,
    everything: np.ndarray,
    groups: dict[str, dict[str, int]],
    *,
    argument: str,
) -> None:
    result = segmented(knowing.expert, argument, coarse_chest)
    names = {label: name for labels in groups.values() for name, label in labels.items()}
    labels = names if argument == "everything" else groups[argument].values()
    np.testing.assert_array_equal(result.labelmap.voxels, only(everything, labels))
    present = set(np.unique(result.labelmap.voxels)) - {0}
    if argument != "bone lesion":  # this patient has none
        assert present
    named = {segment.label_values: segment.name for segment in result.segments}
    assert {label: names[label] for label in present} == {
        value: name for (value,), name in named.items() if value in present
    }


def test_every_single_structure_by_name_is_that_structure(
    knowing: Knowing, coarse_chest: Volume, golden: Path, groups: dict[str, dict[str, int]]
) -> None:
    volume = every(coarse_chest, 2, 2, 2)
    result = segmented(knowing.expert, "everything", volume)
    assert_in_place(result, volume, knowing)
    everything, found = result.labelmap.voxels, 0
    for name, label in published_names(golden).items():
        if name in groups:
            continue  # a tumour's name is a group's too: tested above
        result = segmented(knowing.expert, name, volume)
        np.testing.assert_array_equal(result.labelmap.voxels, only(everything, [label]), name)
        assert [segment.label_values[0] for segment in result.segments] == list(PARTS.get(label, (label,)))
        found += result.labelmap.voxels.any()
    assert found == len(np.unique(everything)) - 1 + len(PARTS)
    assert found > 85


@pytest.mark.slow
def test_the_whole_scan_in_full_size_has_its_labels(
    make_knowing: MakeKnowing, chest_ct: Volume, chest_labels: Volume
) -> None:
    knowing = make_knowing(Anatomy(chest_labels), 1.5)
    result = segmented(knowing.expert, "everything", chest_ct)
    assert_in_place(result, chest_ct, knowing, ties=1e-3)  # 1.5 mm is 32/15 of the pixels of this scan
    found, reference = result.labelmap.voxels, chest_labels.voxels
    scores = [dice(found == label, reference == label) for label in np.unique(reference[reference > 0])]
    assert len(scores) == 89
    assert min(scores) > 0.8
    assert np.median(scores) > 0.92


FORMS: dict[str, Callable[[Volume], Volume]] = {
    "RAS": lambda volume: stored_as(volume, (0, 1, 2), (0,)),
    "LPS": lambda volume: stored_as(volume, (0, 1, 2), (1,)),
    "sagittal slices": lambda volume: stored_as(volume, *ORDERS[2]),
    "coronal slices": lambda volume: stored_as(volume, (2, 0, 1), (0, 1, 2)),
    "oblique": slanting,
    "thick slices": lambda volume: every(volume, 1, 1, 4),
    "thick sagittal slices": lambda volume: every(volume, 4, 1, 1),
    "cropped": lambda volume: cropped(volume, slice(20, 130), slice(30, 150), slice(40, 133)),
    "a thin slab": lambda volume: cropped(volume, slice(None), slice(None), slice(60, 70)),
}
"""The chest CT itself is stored with the axes left, anterior, superior."""


@pytest.mark.parametrize("form", FORMS)
def test_however_the_scan_is_stored_the_labels_lie_in_the_same_place(
    make_knowing: MakeKnowing, coarse_chest: Volume, chest_anatomy: Anatomy, form: str
) -> None:
    knowing = make_knowing(chest_anatomy, SPACING)
    volume = FORMS[form](coarse_chest)
    rounding = 1e-4 if form == "oblique" else 0.0
    assert_in_place(segmented(knowing.expert, "everything", volume), volume, knowing, ties=rounding)


def test_a_patient_who_lies_aslant_takes_the_labels_along(
    make_knowing: MakeKnowing, coarse_chest: Volume, chest_anatomy: Anatomy
) -> None:
    knowing = make_knowing(Anatomy(tilted(chest_anatomy.labels)), SPACING)
    volume = tilted(coarse_chest)
    assert_in_place(segmented(knowing.expert, "everything", volume), volume, knowing)


def test_a_table_in_view_changes_nothing(
    make_knowing: MakeKnowing, abdomen_ct: Volume, abdomen_labels: Volume
) -> None:
    """Another scan: abdomen and pelvis; its table lies in the rearmost five rows, free of the body."""
    knowing = make_knowing(Anatomy(abdomen_labels), 1.5)
    with_table = segmented(knowing.expert, "everything", abdomen_ct)
    assert_in_place(with_table, abdomen_ct, knowing)
    voxels = abdomen_ct.voxels.copy()
    voxels[:, :5] = -1024
    bare = segmented(knowing.expert, "everything", abdomen_ct.with_voxels(voxels))
    one, other = knowing.model.seen
    assert not torch.equal(one, other)  # the table is part of what the network sees
    np.testing.assert_array_equal(bare.labelmap.voxels[:, 5:], with_table.labelmap.voxels[:, 5:])


@pytest.mark.parametrize("case", ["lung1", "lung2"])
def test_a_tumour_on_thick_slices_is_found_where_it_is(
    make_knowing: MakeKnowing, tumour_case: Callable[[str], tuple[Volume, Volume]], case: str
) -> None:
    """A nodule of the right upper lobe and a mass of the left lower lobe, outlined by hand."""
    ct, outline = (every(volume, 3, 3, 1) for volume in tumour_case(case))
    knowing = make_knowing(Anatomy(outline.with_voxels(outline.voxels * np.uint8(LUNG_TUMOUR))), 1.5)
    result = segmented(knowing.expert, "lung tumor", ct)
    assert [(one.name, one.label_values) for one in result.segments] == [("lung tumor", (LUNG_TUMOUR,))]
    found = result.labelmap.voxels == LUNG_TUMOUR
    assert dice(found, outline.voxels > 0) > 0.85
    (info,) = measure(result)
    assert info.volume_ml == pytest.approx(outline.voxels.sum() * outline.voxel_ml, rel=0.05)
    middle = (outline.ijk_to_ras @ [*np.argwhere(outline.voxels).mean(0), 1])[:3]
    assert np.linalg.norm(np.array(info.center) - middle) < 25
    assert (case == "lung1") == (middle[0] > ct_middle(ct))  # right by the file's name, left


def ct_middle(volume: Volume) -> float:
    """R of the middle of the scan."""
    return float((volume.ijk_to_ras @ [*(np.array(volume.voxels.shape) - 1) / 2, 1])[0])


@pytest.mark.parametrize("form", ["RAS", "oblique", "thick sagittal slices"])
def test_the_network_sees_the_scan_where_its_grid_says(
    make_knowing: MakeKnowing, coarse_chest: Volume, chest_anatomy: Anatomy, form: str
) -> None:
    knowing = make_knowing(chest_anatomy, SPACING)
    volume = FORMS[form](coarse_chest)
    segmented(knowing.expert, "spleen", volume)
    (seen,), (grid,) = knowing.model.seen, knowing.model.grids
    image = itk_image(volume.voxels.astype(np.float32), volume.ijk_to_ras)
    hounsfield = sampled(image, *grid, SimpleITK.sitkLinear, np.nan)
    inside = ~np.isnan(hounsfield)
    assert inside.mean() > 0.8
    np.testing.assert_allclose(seen.numpy()[inside], scaled(hounsfield[inside]), atol=2e-3)


def scaled(hounsfield: np.ndarray) -> np.ndarray:
    """As the bundle's configuration says."""
    steps = INFERENCE["preprocessing_transforms"]
    (step,) = (step for step in steps if step["_target_"] == "ScaleIntensityRanged")
    return ((hounsfield - step["a_min"]) / (step["a_max"] - step["a_min"])).clip(0, 1)
