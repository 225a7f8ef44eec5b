"""Skin and other layers around the body in 3D: faint around what they hide, and a person's choice kept."""

from __future__ import annotations

import numpy as np
import pytest

from Testing.VILAM3SlicerLib.scene.test_segmentation import SHAPE, info, sent
from VILAM3SlicerLib.scene.envelopes import FAINT, soften_envelopes
from VILAM3SlicerLib.scene.result_segments import ResultSegments
from VILAM3SlicerLib.scene.segment_origin import OPACITY_3D, Origin
from VILAM3SlicerLib.scene.segmentation import find_segmentation, segment_ids, segment_of
from VILAM3SlicerLib.scene.terminology import SlicerTerminology

EVERYTHING = (info("skin", 1), info("subcutaneous fat", 2), info("muscle", 3), info("bone", 4))


@pytest.fixture
def labels() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 5, SHAPE).astype(np.uint8)


@pytest.fixture
def scan(make_volume, oblique):
    return make_volume(np.zeros(SHAPE, np.int16), oblique)


@pytest.fixture
def add(scene, app_logic, labels, scan):
    """``add(turn, segments)`` puts a result in; ``add.undo(turn)`` takes it back."""
    results = ResultSegments(scene, SlicerTerminology(app_logic))

    def add(turn: str, segments) -> None:
        results.add(scan, sent(labels, scan), segments, Origin(turn, "CT_TISSUE", "1.1"))

    add.undo = lambda turn: results.remove_turn(scan, turn)
    return add


def opacities(scene, scan) -> dict[str, float]:
    node = find_segmentation(scene, scan)
    display = node.GetDisplayNode()
    return {
        segment_of(node, one).GetName(): round(display.GetSegmentOpacity3D(one), 3)
        for one in segment_ids(node)
    }


def test_layers_around_others_are_faint_and_the_innermost_is_solid(scene, scan, add):
    add("turn-1", EVERYTHING)
    assert opacities(scene, scan) == {
        "skin": FAINT, "subcutaneous fat": FAINT, "muscle": FAINT, "bone": 1.0
    }  # fmt: skip
    display = find_segmentation(scene, scan).GetDisplayNode()
    assert display.GetSegmentOpacity2DFill("skin") == 1.0
    assert display.GetSegmentVisibility2DFill("skin")


def test_a_layer_alone_is_solid_until_something_within_comes_and_again_after_undo(scene, scan, add):
    add("turn-1", EVERYTHING[:1])
    assert opacities(scene, scan) == {"skin": 1.0}
    add("turn-2", EVERYTHING[2:3])
    assert opacities(scene, scan) == {"skin": FAINT, "muscle": 1.0}
    add.undo("turn-2")
    assert opacities(scene, scan) == {"skin": 1.0}


def test_a_persons_own_choice_stays(scene, scan, add):
    add("turn-1", EVERYTHING)
    display = find_segmentation(scene, scan).GetDisplayNode()
    display.SetSegmentOpacity3D("skin", 0.7)
    add("turn-2", (info("lungs", 4),))
    add("turn-3", EVERYTHING)
    assert opacities(scene, scan) == {
        "skin": 0.7, "subcutaneous fat": FAINT, "muscle": FAINT, "bone": 1.0, "lungs": 1.0
    }  # fmt: skip
    add.undo("turn-3")
    add.undo("turn-2")
    assert opacities(scene, scan)["skin"] == 0.7


def test_what_was_set_and_what_a_person_chose_are_told_apart_after_loading(scene, scan, add, app, tmp_path):
    add("turn-1", EVERYTHING)
    find_segmentation(scene, scan).GetDisplayNode().SetSegmentOpacity3D("muscle", 0.7)
    assert app.io_manager.save_scene(str(tmp_path / "scene.mrb"))
    scene.Clear(0)
    assert app.io_manager.load_scene(str(tmp_path / "scene.mrb"))
    loaded = scene.GetFirstNodeByName("scan")
    assert opacities(scene, loaded) == {
        "skin": FAINT, "subcutaneous fat": FAINT, "muscle": 0.7, "bone": 1.0
    }  # fmt: skip
    node = find_segmentation(scene, loaded)
    node.GetSegmentation().RemoveSegment("bone")
    node.GetSegmentation().RemoveSegment("subcutaneous fat")
    soften_envelopes(node)
    assert opacities(scene, loaded) == {"skin": FAINT, "muscle": 0.7}
    node.GetSegmentation().RemoveSegment("muscle")
    soften_envelopes(node)
    assert opacities(scene, loaded) == {"skin": 1.0}


def test_a_note_that_somebody_changed_in_the_file_is_not_trusted(scene, scan, add):
    add("turn-1", EVERYTHING)
    segment_of(find_segmentation(scene, scan), "skin").SetTag(OPACITY_3D, "much")
    add("turn-2", (info("lungs", 4),))
    assert opacities(scene, scan)["skin"] == FAINT


def test_a_segment_that_a_person_drew_is_left_alone(scene, scan, add):
    add("turn-1", EVERYTHING[3:])
    node = find_segmentation(scene, scan)
    own = node.GetSegmentation().AddEmptySegment("", "skin")
    add("turn-2", EVERYTHING[2:3])
    assert node.GetDisplayNode().GetSegmentOpacity3D(own) == 1.0
