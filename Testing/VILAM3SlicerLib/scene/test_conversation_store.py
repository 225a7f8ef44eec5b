"""The conversation in the scene."""

from __future__ import annotations

import numpy as np
import pytest

from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.scene.conversation_store import forget_conversation, load_conversation, save_conversation

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


def test_text_that_somebody_changed_is_refused_clearly(scene):
    save_conversation(scene, CONVERSATION).SetText("{ no json")
    with pytest.raises(SceneError, match="cannot be read"):
        load_conversation(scene)
