"""The report of a scan: drafted, edited, kept with the scene, put into it."""

from __future__ import annotations

import pytest

from Testing.VILAM3SlicerLib.viewer.conftest import two_organs
from VILAM3SlicerLib.protocol.errors import InvalidRequest, SceneError
from VILAM3SlicerLib.scene.scan_nodes import nodes_of_scan
from VILAM3SlicerLib.viewer.report_desk import ReportDesk


@pytest.fixture
def desk(talk, scan) -> ReportDesk:
    talk.discussion.open(scan)
    talk.segment(two_organs(), "liver", "spleen")
    desk = ReportDesk(talk.presenter, talk.scan, talk.scene)
    desk.refresh()
    return desk


def texts(desk, name: str) -> list[str]:
    return [sentence.text for sentence in desk.document.section(name).sentences]


def test_edits_stay_while_the_conversation_goes_on_and_change_is_told_once(desk, talk):
    changes = []
    desk.on_change = lambda: changes.append(desk.document)
    desk.edit("impression", 0, "Both organs are normal.")
    desk.refresh()
    assert len(changes) == 1
    talk.segment(two_organs(), "kidney")
    desk.refresh()
    assert texts(desk, "impression") == ["Both organs are normal.", "Here they are."]
    talk.presenter.undo()
    desk.refresh()
    assert texts(desk, "impression") == ["Both organs are normal."]
    assert [text.split(":")[0] for text in texts(desk, "findings")] == ["Liver", "Spleen"]


def test_the_edited_report_comes_back_with_the_scene(desk, talk, app, tmp_path):
    desk.edit("impression", 0, "Both organs are normal – größer nicht.")
    desk.edit("findings", 0, "")
    before = desk.document
    assert app.io_manager.save_scene(str(tmp_path / "scene.mrb"))
    talk.scene.Clear(0)
    desk.refresh()
    assert texts(desk, "impression") == []
    assert app.io_manager.load_scene(str(tmp_path / "scene.mrb"))
    desk.refresh()
    assert desk.document == before


def test_a_loaded_report_names_the_voxels_that_were_talked_about(desk, talk, app, tmp_path):
    (turn,) = talk.presenter.turns
    said = f"Content hash of the scan: {turn.question.volume[:16]}"
    assert said in desk.text()
    assert app.io_manager.save_scene(str(tmp_path / "scene.mrb"))
    talk.scene.Clear(0)
    talk.host.turn()  # what was packed of a scan that is gone is forgotten
    assert app.io_manager.load_scene(str(tmp_path / "scene.mrb"))
    desk.refresh()
    assert said in desk.text()


def test_the_report_stands_beside_its_scan_as_text_once(desk, scan):
    desk.into_scene()
    desk.add("findings", 99, "Seen by me.")
    node = desk.into_scene()
    assert "Seen by me. [person]" in node.GetText()
    assert "not for diagnosis" in node.GetText()
    assert [one.GetName() for one in nodes_of_scan(desk._scene, scan)].count("chest report") == 1


def test_drafting_anew_drops_the_edits(desk):
    drafted = desk.document
    desk.edit("findings", 0, "Mine.")
    desk.start_anew()
    assert desk.document == drafted


def test_what_cannot_be_done_is_said(desk, talk):
    with pytest.raises(InvalidRequest, match="no longer in the report"):
        desk.edit("findings", 7, "x")
    with pytest.raises(InvalidRequest, match="no longer in the report"):
        desk.move("impression", -1, "findings")
    talk.scene.Clear(0)
    with pytest.raises(SceneError, match="no scan"):
        desk.into_scene()
