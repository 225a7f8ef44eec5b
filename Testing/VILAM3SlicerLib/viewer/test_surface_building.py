"""Surfaces are built on the front end's own clock, for what is there and no longer."""

from __future__ import annotations

from Testing.VILAM3SlicerLib.viewer.conftest import two_organs
from VILAM3SlicerLib.scene.segmentation import CLOSED_SURFACE, segment_ids, segment_of


def surface_points(node, segment_id: str) -> int:
    surface = segment_of(node, segment_id).GetRepresentation(CLOSED_SURFACE)
    return surface.GetNumberOfPoints() if surface is not None else 0


def test_surfaces_come_one_by_one_and_the_end_is_told(talk, scan):
    came = []
    talk.scan.surfaces.on_surface = lambda: came.append(talk.scan.surfaces.is_running)
    talk.discussion.open(scan)
    talk.segment(two_organs(), "liver", "spleen")
    done = []
    talk.scan.surfaces.when_done(lambda: done.append(True))
    talk.host.run(until=lambda: done)
    node = talk.scan.segmentation
    assert all(surface_points(node, one) > 0 for one in segment_ids(node))
    assert came == [True, True, False]
    assert talk.scan.surface_bounds is not None


def test_another_scan_ends_the_building_for_the_first(talk, scan):
    talk.discussion.open(scan)
    talk.segment(two_organs(), "liver")
    node = talk.scan.segmentation
    assert talk.scan.surfaces.is_running
    talk.discussion.open(None)
    assert not talk.scan.surfaces.is_running
    for _ in range(20):
        talk.host.turn()
    assert surface_points(node, segment_ids(node)[0]) == 0


def test_a_segment_that_changes_meanwhile_gets_its_surface_all_the_same(talk, scan):
    talk.discussion.open(scan)
    talk.segment(two_organs(), "liver")
    node = talk.scan.segmentation
    (segment_id,) = segment_ids(node)
    for _ in range(8):
        talk.host.turn()
    segment_of(node, segment_id).GetRepresentation("Binary labelmap").Modified()
    talk.host.run(until=lambda: not talk.scan.surfaces.is_running)
    assert surface_points(node, segment_id) > 0
