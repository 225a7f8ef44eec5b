"""What the person reads while a scan goes up, and how often."""

from __future__ import annotations

import pytest

from VILAM3SlicerLib.chat.interfaces import PackedSequence, PackedVolume
from VILAM3SlicerLib.chat.rows import turn_row

MB = 1_000_000


@pytest.fixture
def uploading(talk):
    talk.transport.holds_volumes = True
    talk.ask()
    return talk


def said(talk):
    row = turn_row(talk.turn, (), talk.host.clock)
    return row.activity, row.percent


def send(talk, seconds, sent, total):
    talk.host.clock += seconds
    talk.transport.uploads[-1].on_sent(sent, total)


def test_megabytes_and_percent_follow_the_upload(uploading):
    assert said(uploading) == ("Sending the scan", None)
    send(uploading, 1, 34 * MB, 140 * MB)
    assert said(uploading) == ("Sending the scan, 34 of 140 MB", 24)
    send(uploading, 1, 140 * MB, 140 * MB)
    assert said(uploading) == ("Sending the scan, 140 of 140 MB", 100)
    uploading.transport.uploads[-1].on_done()
    assert said(uploading) == ("Sending the question", None)
    assert len(uploading.transport.requests) == 1


def test_a_scan_whose_length_nobody_knows_is_told_without_percent(uploading):
    send(uploading, 1, 12 * MB, None)
    assert said(uploading) == ("Sending the scan, 12 MB", None)


def test_a_small_scan_is_told_in_smaller_units(uploading):
    send(uploading, 1, 250_000, 500_000)
    assert said(uploading) == ("Sending the scan, 250 of 500 kB", 50)


def test_fast_news_are_told_four_times_a_second_at_most(uploading):
    changes = []
    uploading.presenter.on_change = lambda: changes.append(said(uploading))
    for number in range(100):
        send(uploading, 0.01, number * MB, 100 * MB)
    assert 3 <= len(changes) <= 4
    assert changes == sorted(changes, key=lambda change: change[1])


def test_each_volume_of_a_study_has_its_own_percent(talk):
    volumes = [PackedVolume(name * 32, (b"NRRD",)) for name in ("aa", "bb")]
    talk.scene.sequences = tuple(
        PackedSequence(role, role, volume) for role, volume in zip(("T1", "T2"), volumes, strict=True)
    )
    talk.transport.holds_volumes = True
    talk.ask()
    talk.transport.uploads[0].on_done()
    send(talk, 1, 3 * MB, 4 * MB)
    assert said(talk) == ("Sending the scan, 2 of 3, 3 of 4 MB", 75)


def test_news_of_a_stopped_upload_change_nothing(uploading):
    uploading.presenter.stop()
    send(uploading, 1, 34 * MB, 140 * MB)
    assert said(uploading) == ("Stopped before it was sent.", None)


@pytest.mark.parametrize("leave", [lambda one: one.stop(), lambda one: one.leave("Another scan.")])
def test_a_scan_that_is_no_longer_to_be_sent_stops_going_out(uploading, leave):
    leave(uploading.presenter)
    assert uploading.transport.uploads[-1].is_ended


def test_what_has_been_sent_is_not_ended_by_a_later_stop(talk):
    talk.ask()
    talk.presenter.stop()
    assert talk.transport.cancelled == [talk.turn.turn_id]
    assert not talk.transport.uploads[-1].is_ended
