"""The heat map of a finding, chosen in a conversation about a scan on real Slicer Core."""

from __future__ import annotations

import pytest

from inference_backend.imaging.overlay import encode_png
from Testing.VILAM3SlicerLib.viewer.conftest import SHAPE, two_organs
from VILAM3SlicerLib.protocol.content_hash import content_hash
from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.protocol.events import ExpertResult, Finding, HeatMap
from VILAM3SlicerLib.protocol.messages import IDENTITY, PointPrompt
from VILAM3SlicerLib.viewer.shown_finding import Shown, ShownFinding

PNG = encode_png(two_organs()[:, :, 4] * 100)
EFFUSION = HeatMap("effusion", content_hash(PNG), SHAPE[1], SHAPE[0], IDENTITY, "densenet")
LOST = HeatMap("mass", "ab" * 32, 4, 4, IDENTITY, "densenet")


@pytest.fixture
def rated(talk, scan):
    """A turn with two heat maps, one of which cannot be fetched."""
    talk.discussion.open(scan)
    talk.transport.images[EFFUSION.image] = PNG
    turn_id = talk.ask()
    talk.host.run(until=lambda: talk.transport.streams)
    talk.call("CXR")
    findings = (Finding("effusion", 0.8), Finding("mass", 0.6))
    talk.say(
        ExpertResult("c1", "CXR", "1", "", 0.5, "Predictions", findings=findings, heat_maps=(EFFUSION, LOST))
    )
    talk.answer()
    talk.settle()
    return turn_id


@pytest.fixture
def shown_finding(talk) -> ShownFinding:
    return ShownFinding(talk.presenter, talk.scan)


def foreground(scan) -> str | None:
    composite = scan.GetScene().GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    return composite.GetForegroundVolumeID()


def test_choosing_a_finding_shows_its_map_and_choosing_it_again_takes_it_away(rated, shown_finding, scan):
    shown_finding.toggle(rated, "effusion")
    assert shown_finding.shown == Shown(rated, "effusion", "densenet")
    assert scan.GetScene().GetNodeByID(foreground(scan)).GetName() == "effusion (heat map)"
    shown_finding.toggle(rated, "effusion")
    assert shown_finding.shown == Shown()
    assert foreground(scan) is None


def test_undo_takes_the_map_away(rated, shown_finding, talk, scan):
    shown_finding.toggle(rated, "effusion")
    talk.presenter.undo()
    assert foreground(scan) is None  # whether or not anybody asks what is shown
    assert shown_finding.shown == Shown()


def test_undoing_another_turn_leaves_the_map(rated, shown_finding, talk, scan):
    talk.ask("Are you sure?")
    talk.host.run(until=lambda: len(talk.transport.streams) == 2)
    talk.answer("Yes.")
    talk.settle()
    shown_finding.toggle(rated, "effusion")
    talk.presenter.undo()
    assert shown_finding.shown == Shown(rated, "effusion", "densenet")
    assert foreground(scan) is not None


def test_another_scan_takes_the_map_away(rated, shown_finding, talk, scan, make_volume):
    shown_finding.toggle(rated, "effusion")
    talk.discussion.open(make_volume(two_organs().astype("int16"), IDENTITY, "other"))
    assert shown_finding.shown == Shown()
    assert foreground(scan) is None
    talk.discussion.open(scan)
    shown_finding.toggle(rated, "effusion")  # its conversation and its picture were kept with the scan
    assert shown_finding.shown.finding == "effusion"


def test_closing_the_scene_takes_map_and_marks_along_without_a_stumble(rated, shown_finding, talk, capfd):
    told = []
    talk.discussion.on_scan = lambda: told.append(talk.scan.node)
    shown_finding.toggle(rated, "effusion")
    talk.scan.question_marks.put(talk.scan.node, (PointPrompt((0.0, 0.0, 0.0), True),), None)
    talk.scene.Clear(0)
    assert (told, talk.presenter.turns, shown_finding.shown) == ([None], (), Shown())
    assert not talk.scene.GetNodesByClass("vtkMRMLVolumeNode").GetNumberOfItems()
    assert not talk.scene.GetNodesByClass("vtkMRMLMarkupsNode").GetNumberOfItems()
    assert "Error" not in capfd.readouterr().err  # what an observer raises is only printed


@pytest.mark.parametrize("finding", ["mass", "hernia"])
def test_a_map_that_never_came_is_told(rated, shown_finding, scan, finding):
    with pytest.raises(SceneError, match=finding):
        shown_finding.toggle(rated, finding)
    assert foreground(scan) is None
