"""Which scan is talked about, on real Slicer Core: switching, closing, loading, in mid-answer too."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from vtkmodules.vtkCommonCore import vtkWeakReference

from Testing.VILAM3SlicerLib.viewer.conftest import MATRIX, SHAPE, Talk, segment_infos, two_organs
from VILAM3SlicerLib.protocol.errors import SceneError, UnsupportedVolume
from VILAM3SlicerLib.protocol.events import Text
from VILAM3SlicerLib.scene.conversation_store import load_conversation, save_conversation
from VILAM3SlicerLib.scene.segmentation import find_segmentation
from VILAM3SlicerLib.scene.views import slice_view


def show(talk, node) -> None:
    view = slice_view(talk.scan._app_logic, "Red")
    view.logic.GetSliceCompositeNode().SetBackgroundVolumeID(node.GetID())
    talk.discussion.follow_view()


@pytest.fixture
def other(make_volume):
    return make_volume(np.ones(SHAPE, np.int16), MATRIX, "head")


def test_each_scan_has_its_own_conversation(talk, scan, other):
    talk.discussion.open(scan)
    talk.segment(two_organs(), "liver", "spleen")
    show(talk, other)
    assert (talk.scan.node, talk.presenter.turns, talk.scan.rows()) == (other, (), [])
    talk.ask("What is this?")
    talk.say(Text(0, "A head."))
    talk.answer("A head.")
    show(talk, scan)
    (turn,) = talk.presenter.turns
    assert turn.question.text == "Segment it."
    assert [row.name for row in talk.scan.rows()] == ["liver", "spleen"]
    show(talk, other)
    assert talk.presenter.turns[0].text == "A head."


def test_what_the_person_said_of_a_scan_holds_when_it_is_taken_up_again(talk, scan, other):
    talk.discussion.open(scan)
    talk.presenter.ask("What is this?", "US", "as_seen")
    talk.host.run(until=lambda: talk.transport.streams)
    talk.answer()
    talk.settle()
    talk.discussion.open(other)
    assert talk.scan.modality != "US"
    talk.discussion.open(scan)
    assert talk.scan.modality == "US"
    talk.scan.default_modality = "CT"
    talk.discussion.open(other)
    talk.discussion.open(scan)
    assert talk.scan.modality == "CT"


def test_a_view_that_changes_in_mid_answer_is_followed_when_the_answer_has_ended(talk, scan, other):
    talk.discussion.open(scan)
    talk.ask()
    talk.call()
    show(talk, other)
    assert talk.scan.node is scan
    labels = two_organs()
    talk.result(labels, *segment_infos(labels, ("liver",)))
    talk.answer()
    talk.settle()
    assert (talk.scan.node, talk.presenter.turns) == (other, ())
    assert find_segmentation(talk.scene, other) is None
    assert find_segmentation(talk.scene, scan).GetSegmentation().GetNumberOfSegments() == 1
    assert len(load_conversation(talk.scene, scan)["turns"]) == 1


def test_another_scan_chosen_in_mid_answer_stops_it_and_keeps_what_came(talk, scan, other):
    talk.discussion.open(scan)
    turn_id = talk.ask()
    talk.call()
    talk.discussion.open(other)
    assert talk.transport.cancelled == [turn_id]
    talk.say(Text(1, "late"))
    assert talk.presenter.turns == ()
    talk.discussion.open(scan)
    (turn,) = talk.presenter.turns
    assert (turn.state, turn.activity) == ("stopped", "Stopped: another scan was chosen.")


def test_a_picture_of_another_scan_is_never_sent(talk, scan, other):
    talk.discussion.open(scan)
    view = slice_view(talk.scan._app_logic, "Red")
    view.logic.GetSliceCompositeNode().SetBackgroundVolumeID(other.GetID())
    with pytest.raises(SceneError, match="shows 'head'; the conversation is about 'chest'"):
        talk.ask()
    assert talk.presenter.turns == ()


def test_a_scan_that_is_closed_in_mid_answer_ends_its_conversation_with_a_word(talk, scan):
    talk.discussion.open(scan)
    turn_id = talk.ask()
    talk.call()
    talk.scene.Clear(0)
    assert talk.transport.cancelled == [turn_id]
    assert [error.message for error in talk.troubles] == [
        "'chest' was closed while its answer was on the way."
    ]
    assert (talk.scan.node, talk.presenter.turns, talk.scan.rows()) == (None, (), [])
    assert talk.scan.modality == "Unknown"
    assert talk.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    assert talk.scene.GetNumberOfNodesByClass("vtkMRMLTextNode") == 0


def test_a_scan_removed_in_mid_answer_is_told_beside_the_one_that_is_shown_instead(talk, scan, other):
    """Slicer shows another scan at once, and with another scan what was told before is taken away."""
    told = []
    talk.discussion.on_scan = told.clear
    talk.discussion.on_trouble = told.append
    talk.discussion.open(scan)
    talk.ask()
    talk.call()
    talk.scene.RemoveNode(scan)
    show(talk, other)
    assert talk.scan.node is other
    assert [error.message for error in told] == ["'chest' was closed while its answer was on the way."]
    talk.discussion.open(None)
    talk.discussion.open(other)
    assert told == []


def test_removing_another_scan_changes_nothing(talk, scan, other):
    talk.discussion.open(scan)
    talk.segment(two_organs(), "liver")
    talk.scene.RemoveNode(other)
    assert len(talk.presenter.turns) == 1
    assert talk.troubles == []


def test_what_cannot_be_talked_about_is_told_once_and_changes_nothing(talk, scan, make_volume):
    talk.discussion.open(scan)
    talk.segment(two_organs(), "liver")
    labels = make_volume(np.ones(SHAPE, np.uint8), MATRIX, "parts", kind="vtkMRMLLabelMapVolumeNode")
    show(talk, labels)
    show(talk, labels)
    assert [type(error) for error in talk.troubles] == [UnsupportedVolume]
    assert (talk.scan.node, len(talk.presenter.turns)) == (scan, 1)


def test_a_scan_that_was_refused_is_freed_with_its_scene(talk, scan, make_volume):
    labels = make_volume(np.ones(SHAPE, np.uint8), MATRIX, "parts", kind="vtkMRMLLabelMapVolumeNode")
    show(talk, labels)
    gone = vtkWeakReference()
    gone.Set(labels)
    del labels
    talk.troubles.clear()
    talk.scene.Clear()
    gc.collect()
    assert gone.Get() is None


def test_an_unreadable_conversation_is_told_and_set_aside(talk, scan):
    save_conversation(talk.scene, {"format": "vilam3-conversation", "version": 99, "turns": []}, scan)
    talk.discussion.open(scan)
    assert "format that is not known" in talk.troubles[0].message
    talk.ask("What is this?")
    talk.say(Text(0, "A chest."))
    talk.answer("A chest.")
    assert len(load_conversation(talk.scene, scan)["turns"]) == 1
    texts = talk.scene.GetNodesByClass("vtkMRMLTextNode")
    kept = [texts.GetItemAsObject(index).GetText() for index in range(texts.GetNumberOfItems())]
    assert any('"version": 99' in text for text in kept)


def test_a_scene_that_is_loaded_brings_its_conversation(talk, scan, app, tmp_path):
    talk.discussion.open(scan)
    talk.segment(two_organs(), "liver", "spleen")
    assert app.io_manager.save_scene(str(tmp_path / "scene.mrb"))
    talk.scene.Clear(0)
    assert talk.presenter.turns == ()
    assert app.io_manager.load_scene(str(tmp_path / "scene.mrb"))
    assert talk.scan.node.GetName() == "chest"
    assert talk.presenter.turns[0].text == "Here they are."
    assert [row.name for row in talk.scan.rows()] == ["liver", "spleen"]
    assert talk.troubles == []


def test_a_result_that_is_half_shown_is_shown_whole_on_its_own_scan(talk, scan, other):
    talk.discussion.open(scan)
    talk.ask()
    talk.call()
    labels = two_organs()
    talk.result(labels, *segment_infos(labels, ("liver", "spleen")))
    talk.host.run(until=lambda: len(talk.scan.rows()) == 1)
    talk.discussion.open(other)
    assert find_segmentation(talk.scene, other) is None
    assert find_segmentation(talk.scene, scan).GetSegmentation().GetNumberOfSegments() == 2
    talk.discussion.open(scan)
    assert [row.name for row in talk.scan.rows()] == ["liver", "spleen"]


def test_closing_the_viewer_in_mid_answer_leaves_nothing_half_done(talk, scan, app_logic):
    """Slicer ends, or a developer reloads the module."""
    talk.discussion.open(scan)
    turn_id = talk.ask()
    talk.call()
    labels = two_organs()
    talk.result(labels, *segment_infos(labels, ("liver", "spleen")))
    talk.host.run(until=lambda: len(talk.scan.rows()) == 1)
    talk.discussion.close()
    assert talk.transport.cancelled == [turn_id]
    assert find_segmentation(talk.scene, scan).GetSegmentation().GetNumberOfSegments() == 2
    again = Talk(talk.scene, app_logic)
    again.discussion.open(scan)
    (turn,) = again.presenter.turns
    assert (turn.state, turn.activity) == ("stopped", "Stopped: the viewer was closed.")
    again.presenter.undo()
    again.settle()
    assert again.scan.rows() == []
    again.discussion.close()
