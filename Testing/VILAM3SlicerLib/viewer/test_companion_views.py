"""Further views go along only when the person wants so, and only those of the scan that is talked about."""

from __future__ import annotations

import numpy as np
import pytest

from Testing.VILAM3SlicerLib.viewer.conftest import MATRIX, SHAPE
from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.scene.capture import CapturedView, capture
from VILAM3SlicerLib.scene.views import slice_view


@pytest.fixture
def talking(talk, scan, make_view):
    make_view(scan, "Coronal", name="Green")
    make_view(scan, "Sagittal", name="Yellow")
    talk.discussion.open(scan)
    return talk


def planes(talk, mode="as_seen"):
    return [image.geometry.plane for image in talk.scan.capture(mode)]


def test_one_view_goes_unless_more_are_wanted(talking, app_logic, scan):
    first = planes(talking)
    assert len(first) == 1
    talking.scan.companions.has_slices = True
    pictures = talking.scan.capture("as_seen")
    assert len(pictures) == 3
    assert pictures[0].geometry.plane == first[0]
    alone = [capture(slice_view(app_logic, name), "as_seen", "CT") for name in ("Green", "Yellow")]
    assert [picture.png for picture in pictures[1:]] == [one.png for one in alone]
    assert len(planes(talking, "published")) == 1


def test_a_view_of_another_scan_stays_away(talking, make_volume, app_logic):
    other = make_volume(np.zeros(SHAPE, np.int16), MATRIX, "another patient")
    slice_view(app_logic, "Yellow").logic.GetSliceCompositeNode().SetBackgroundVolumeID(other.GetID())
    talking.scan.companions.has_slices = True
    assert len(planes(talking)) == 2


def test_the_3d_view_comes_last_and_its_troubles_are_told(talking, scan):
    seen = capture(slice_view(talking.scan._app_logic, "Red"), "as_seen", "CT")
    asked_for = []

    def threed(node, volume):
        asked_for.append(node)
        return CapturedView(b"threed", seen.geometry)

    talking.scan.companions.has_slices = True
    talking.scan.companions.threed = threed
    pictures = talking.scan.capture("as_seen")
    assert pictures[-1].png == b"threed"
    assert len(pictures) == 4
    assert asked_for == [scan]

    def broken(node, volume):
        raise SceneError("The 3D view has no size yet.")

    talking.scan.companions.threed = broken
    with pytest.raises(SceneError, match="no size"):
        talking.scan.capture("as_seen")


def test_the_plane_of_the_asked_view_is_known(talking, make_view, scan):
    make_view(scan, "Oblique", name="Slice4")
    asked = {}
    for name in ("Red", "Green", "Yellow", "Slice4", "Gone"):
        talking.scan.asked_view = name
        asked[name] = talking.scan.asked_plane
    assert asked == {
        "Red": "axial",
        "Green": "coronal",
        "Yellow": "sagittal",
        "Slice4": "oblique",
        "Gone": "",
    }
