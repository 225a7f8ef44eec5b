"""The conversation in the scene."""

from __future__ import annotations

import numpy as np
import pytest

from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.scene.conversation_store import (
    TurnTexts,
    forget_conversation,
    load_conversation,
    save_conversation,
)

CONVERSATION = {"turns": [{"question": 'Wo liegt die Läsion? <x> & "y"\n', "views": [[1.5, -2.0]]}] * 50}


def test_conversation_comes_back_with_the_saved_scene(scene, app, make_volume, oblique, tmp_path):
    scan = make_volume(np.zeros((3, 4, 5), np.int16), oblique, "scan")
    save_conversation(scene, CONVERSATION, scan)
    path = tmp_path / "scene.mrb"
    assert app.io_manager.save_scene(str(path))
    scene.Clear(0)
    assert load_conversation(scene) is None
    app.io_manager.load_scene(str(path))
    (read,) = (node for node in [scene.GetFirstNodeByName("scan")] if node)
    assert load_conversation(scene, read) == CONVERSATION


def test_each_scan_has_one_conversation(scene, make_volume, oblique):
    scan = make_volume(np.zeros((3, 4, 5), np.int16), oblique)
    other = make_volume(np.zeros((3, 4, 5), np.int16), oblique, "other")
    save_conversation(scene, {"turns": [1]}, scan)
    save_conversation(scene, {"turns": [1, 2]}, scan)
    save_conversation(scene, {"turns": [3]}, other)
    assert scene.GetNodesByClass("vtkMRMLTextNode").GetNumberOfItems() == 2
    assert load_conversation(scene, scan) == {"turns": [1, 2]}
    forget_conversation(scene, scan)
    assert load_conversation(scene, scan) is None
    assert load_conversation(scene, other) == {"turns": [3]}


def test_a_turn_is_written_out_once_and_the_text_is_that_of_json():
    import json

    texts, turn, half = TurnTexts(), {"question": 'Läsion "x"\n'}, {"question": "a \ud83d half"}
    assert json.loads(texts.of({"format": "f", "turns": [turn], "images": {}})) == {
        "format": "f",
        "turns": [turn],
        "images": {},
    }
    turn["question"] = "changed, which no turn does"
    said = json.loads(texts.of({"turns": [turn, half]}))
    assert said == {"turns": [{"question": 'Läsion "x"\n'}, {"question": "a ? half"}]}
    assert json.loads(texts.of({"turns": [half]})) == {"turns": [{"question": "a ? half"}]}
    assert json.loads(texts.of({"turns": [turn]}))["turns"] == [turn]  # what had gone was let go
    assert texts.of({}) == '{"turns": []}'


def test_text_that_somebody_changed_is_refused_clearly(scene):
    save_conversation(scene, CONVERSATION).SetText("{ no json")
    with pytest.raises(SceneError, match="cannot be read"):
        load_conversation(scene)


def test_images_are_written_once_and_go_with_their_turns(scene, app, make_volume, oblique, tmp_path):
    scan = make_volume(np.zeros((3, 4, 5), np.int16), oblique, "scan")
    first, second = {"turns": [1], "images": {"aa": "QQ==", "bb": "Qg=="}}, {"cc": "Qw=="}
    both = {"turns": [1, 2], "images": {**first["images"], **second}}
    save_conversation(scene, first, scan)
    texts = scene.GetNodesByClass("vtkMRMLTextNode")
    times = {
        texts.GetItemAsObject(index).GetID(): texts.GetItemAsObject(index).GetMTime() for index in (0, 1)
    }
    node = save_conversation(scene, both, scan)
    assert all(
        scene.GetNodeByID(name).GetMTime() == time for name, time in times.items() if name != node.GetID()
    )
    assert "Qw==" not in node.GetText()
    assert load_conversation(scene, scan) == both
    assert app.io_manager.save_scene(str(tmp_path / "scene.mrb"))
    save_conversation(scene, first, scan)
    assert load_conversation(scene, scan) == first
    assert scene.GetNumberOfNodesByClass("vtkMRMLTextNode") == 2
    forget_conversation(scene, scan)
    assert scene.GetNumberOfNodesByClass("vtkMRMLTextNode") == 0
    scene.Clear(0)
    app.io_manager.load_scene(str(tmp_path / "scene.mrb"))
    assert load_conversation(scene, scene.GetFirstNodeByName("scan")) == both
