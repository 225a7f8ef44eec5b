"""A view that shows something else is noticed, whatever changed it; one that is watched no more is not."""

from __future__ import annotations

import numpy as np
import pytest

from VILAM3SlicerLib.scene.view_watch import ViewWatch


@pytest.fixture
def watched(app_logic, make_volume, make_view, request):
    volume = make_volume(np.zeros((12, 12, 12), np.int16), np.eye(4))
    view = make_view(volume, name=request.node.name)  # a view of an earlier test would not tell of all
    changes = []
    watch = ViewWatch(app_logic, lambda: changes.append(1))
    yield volume, view, changes, watch
    watch.close()


CHANGES = {
    "moved": lambda volume, view: view.node.SetSliceOffset(3.0),
    "zoomed": lambda volume, view: view.node.SetFieldOfView(50.0, 50.0, 1.0),
    "turned": lambda volume, view: view.node.SetOrientation("Sagittal"),
    "window": lambda volume, view: volume.GetDisplayNode().SetWindowLevel(123.0, 45.0),
    "no scan": lambda volume, view: view.logic.GetSliceCompositeNode().SetBackgroundVolumeID(None),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_a_picture_is_noticed(watched, change):
    volume, view, changes, _ = watched
    CHANGES[change](volume, view)
    assert changes


def test_after_closing_nothing_is_told(watched):
    _, view, changes, watch = watched
    watch.close()
    view.node.SetSliceOffset(5.0)
    assert not changes
