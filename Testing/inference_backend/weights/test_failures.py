"""Every way a server can fail gives its own error with a way out, and nothing wrong is ever kept as right."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace

import pytest

from inference_backend.weights.catalogue import Entry
from inference_backend.weights.download import Acceptance, Downloader
from inference_backend.weights.errors import DownloadError, WeightsBusy
from inference_backend.weights.folder import WeightsFolder
from inference_backend.weights.hub_source import HubSource
from inference_backend.weights.patience import Patience
from inference_backend.weights.progress import Tracker
from Testing.inference_backend.weights import hub_server
from Testing.inference_backend.weights.conftest import FILES, fetch, source
from Testing.inference_backend.weights.hub_server import Hub
from VILAM3SlicerLib.protocol.errors import Cancelled, OutOfSpace
from VILAM3SlicerLib.protocol.weights import DownloadProgress

WEIGHTS = "llm/model.safetensors"
ALWAYS = 20


def failing(downloader: Downloader, hub: Hub, entry: Entry) -> DownloadError:
    with pytest.raises(DownloadError) as raised:
        fetch(downloader, hub, entry)
    assert raised.value.hint
    assert downloader.folder.state(entry) != "present"
    return raised.value


def test_one_wrong_bit_is_found_and_fetched_again(
    downloader: Downloader, hub: Hub, entry: Entry, folder: WeightsFolder
) -> None:
    hub.fail(WEIGHTS, hub_server.corrupt)
    fetch(downloader, hub, entry)
    assert hub.ranges(WEIGHTS) == ["", ""]
    assert (folder.path(entry) / WEIGHTS).read_bytes() == FILES[WEIGHTS]


@pytest.mark.parametrize("path", [WEIGHTS, "config.json"])
def test_a_server_that_always_sends_something_else_is_named(
    downloader: Downloader, hub: Hub, entry: Entry, folder: WeightsFolder, path: str
) -> None:
    """Large files are known by SHA-256, small ones by git's hash."""
    hub.fail(path, *[hub_server.corrupt] * ALWAYS)
    error = failing(downloader, hub, entry)
    assert error.code == "checksum_mismatch"
    assert path in error.message
    assert hub.url in error.message
    assert not (folder.unfinished(entry) / path).exists()


def test_a_truncated_file_is_no_file(downloader: Downloader, hub: Hub, entry: Entry) -> None:
    hub.fail(WEIGHTS, hub_server.truncate_to(250_000))
    fetch(downloader, hub, entry)
    assert hub.ranges(WEIGHTS) == ["", "bytes=250000-"]


def test_a_server_without_ranges_starts_again(
    downloader: Downloader, hub: Hub, entry: Entry, folder: WeightsFolder
) -> None:
    hub.fail(WEIGHTS, hub_server.cut_after(100_000), hub_server.ignore_range)
    fetch(downloader, hub, entry)
    assert (folder.path(entry) / WEIGHTS).read_bytes() == FILES[WEIGHTS]


def test_a_stall_ends_and_goes_on(downloader: Downloader, hub: Hub, entry: Entry) -> None:
    hub.fail(WEIGHTS, hub_server.stall_after(100_000, 30))
    began = time.monotonic()
    fetch(downloader, hub, entry)
    assert time.monotonic() - began < 10
    assert hub.ranges(WEIGHTS) == ["", "bytes=100000-"]


def test_a_server_that_only_stalls_is_given_up(downloader: Downloader, hub: Hub, entry: Entry) -> None:
    hub.fail(WEIGHTS, *[hub_server.stall_after(0, 30)] * ALWAYS)
    assert failing(downloader, hub, entry).code == "download_stalled"


def test_a_connection_that_is_always_reset_is_given_up(
    downloader: Downloader, hub: Hub, entry: Entry
) -> None:
    hub.fail(WEIGHTS, *[hub_server.reset_after(0)] * ALWAYS)
    assert failing(downloader, hub, entry).code == "download_cut"


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (hub_server.status(401, x_error_code="GatedRepo"), ("access_denied", "HF_TOKEN")),
        (hub_server.status(403, x_error_code="GatedRepo"), ("access_denied", "HF_TOKEN")),
        (hub_server.status(403), ("access_denied", "HF_TOKEN")),
        (hub_server.status(401, x_error_code="RepoNotFound"), ("not_found", "HF_TOKEN")),
        (hub_server.status(404, x_error_code="RepoNotFound"), ("not_found", "HF_ENDPOINT")),
        (hub_server.status(404, x_error_code="RevisionNotFound"), ("not_found", "HF_ENDPOINT")),
        (hub_server.status(429), ("rate_limited", "Wait")),
        (hub_server.status(500), ("hub_failed", "goes on from here")),
        (hub_server.login_page, ("hub_failed", "proxy")),
    ],
)
def test_a_refused_listing_is_explained(
    downloader: Downloader, hub: Hub, entry: Entry, fault: object, told: tuple[str, str]
) -> None:
    hub.fail("", *[fault] * ALWAYS)  # type: ignore[list-item]
    error = failing(downloader, hub, entry)
    assert error.code == told[0]
    assert told[1] in error.hint


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (hub_server.status(403), "access_denied"),
        (hub_server.status(404, x_error_code="EntryNotFound"), "not_found"),
        (hub_server.status(416), "hub_failed"),
        (hub_server.login_page, "download_cut"),
    ],
)
def test_a_refused_file_is_explained(
    downloader: Downloader, hub: Hub, entry: Entry, fault: object, code: str
) -> None:
    hub.fail(WEIGHTS, *[fault] * ALWAYS)  # type: ignore[list-item]
    assert failing(downloader, hub, entry).code == code


@pytest.mark.parametrize("fault", [hub_server.status(429, retry_after="0"), hub_server.status(503)])
def test_a_server_that_is_busy_for_a_moment_is_asked_again(
    downloader: Downloader, hub: Hub, entry: Entry, fault: object
) -> None:
    hub.fail("", fault)  # type: ignore[arg-type]
    hub.fail(WEIGHTS, fault)  # type: ignore[arg-type]
    fetch(downloader, hub, entry)


def test_the_wait_is_what_the_server_asks_up_to_a_minute() -> None:
    busy = DownloadError("busy", passing=True, wait_s=7.0)
    patience = Patience()
    assert patience.after(busy, 1) == 7.0
    busy.wait_s = 3600.0
    assert patience.after(busy, 1) == 60.0
    busy.wait_s = None
    assert [patience.after(busy, failures) for failures in (1, 2, 3, 4)] == [1, 2, 4, 8]
    with pytest.raises(DownloadError):
        patience.after(busy, 5)


def test_no_server_at_all_names_the_other_ways(downloader: Downloader, hub: Hub, entry: Entry) -> None:
    hub.url = "http://127.0.0.1:9"  # discard: nobody listens
    error = failing(downloader, hub, entry)
    assert error.code == "hub_unreachable"
    for way in ("HTTPS_PROXY", "HF_ENDPOINT", "--from"):
        assert way in error.hint


def test_another_revision_than_the_pinned_one_is_refused(
    downloader: Downloader, hub: Hub, entry: Entry
) -> None:
    hub.commit = "f" * 40
    assert failing(downloader, hub, entry).code == "wrong_revision"


@pytest.mark.parametrize("path", ["../evil.json", "/etc/evil.json", "a/../../evil.json", "c:\\evil.json"])
def test_a_file_outside_the_folder_is_refused(
    downloader: Downloader, hub: Hub, entry: Entry, path: str
) -> None:
    hub.files[path] = b"{}"
    assert failing(downloader, hub, entry).code == "unsafe_path"


def test_a_mirror_without_sizes_in_its_listing_is_asked_file_by_file(
    downloader: Downloader, hub: Hub, entry: Entry, folder: WeightsFolder
) -> None:
    hub.with_sizes = False
    hub.fail(WEIGHTS, hub_server.corrupt)
    fetch(downloader, hub, entry)
    assert (folder.path(entry) / WEIGHTS).read_bytes() == FILES[WEIGHTS]
    assert hub.ranges(WEIGHTS) == ["", ""]


@pytest.mark.parametrize("with_sizes", [True, False])
def test_a_hub_that_offers_chunked_transfer_is_asked_for_plain_files(
    downloader: Downloader, hub: Hub, entry: Entry, folder: WeightsFolder, with_sizes: bool
) -> None:
    hub.offers_xet, hub.with_sizes = True, with_sizes
    fetch(downloader, hub, entry)
    assert (folder.path(entry) / WEIGHTS).read_bytes() == FILES[WEIGHTS]
    assert not [one for one in hub.asked if "xet" in one.path]


def test_room_is_needed_before_anything_is_fetched(
    downloader: Downloader, hub: Hub, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type(shutil.disk_usage("/"))(10**12, 10**12, 500_200_000)
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: usage)
    with pytest.raises(OutOfSpace, match="500 MB of free disk space are needed") as raised:
        fetch(downloader, hub, entry)
    assert "VILAM3_WEIGHTS" in raised.value.hint
    assert not {path for path in hub.fetched() if path}


def test_cancelled_it_ends_at_once_and_goes_on_later(
    downloader: Downloader, hub: Hub, entry: Entry, folder: WeightsFolder
) -> None:
    seen: list[DownloadProgress] = []

    def watch(progress: DownloadProgress) -> None:
        seen.append(progress)
        if progress.file == WEIGHTS:
            tracker.cancel()

    tracker = Tracker(watch)
    with pytest.raises(Cancelled) as raised:
        downloader.download(entry, source(hub, entry), tracker, Acceptance())
    assert "goes on" in raised.value.hint
    kept = (folder.unfinished(entry) / f"{WEIGHTS}.part").stat().st_size
    assert 0 < kept < len(FILES[WEIGHTS])
    hub.asked.clear()
    fetch(downloader, hub, entry)
    assert hub.ranges(WEIGHTS) == [f"bytes={kept}-"]


def test_progress_counts_every_byte_once_also_of_what_was_here_before(
    downloader: Downloader, hub: Hub, entry: Entry
) -> None:
    hub.fail(WEIGHTS, hub_server.cut_after(100_000), *[hub_server.status(500)] * 5)
    failing(downloader, hub, entry)
    hub.faults.clear()
    seen: list[DownloadProgress] = []
    downloader.download(entry, source(hub, entry), Tracker(seen.append), Acceptance())
    total = sum(len(content) for path, content in FILES.items() if entry.needs(path))
    assert {progress.total_bytes for progress in seen} == {total}
    assert seen[-1].done_bytes == total
    assert all(progress.done_bytes <= total for progress in seen)
    assert min(progress.done_bytes for progress in seen if progress.file == WEIGHTS) > 100_000


def test_time_left_follows_the_speed_of_the_last_seconds() -> None:
    clock = [0.0]
    seen: list[DownloadProgress] = []
    tracker = Tracker(seen.append, lambda: clock[0])
    tracker.expect({"a": 10_000_000})
    for second in range(31):
        clock[0] = second
        tracker.at("a", second * 100_000)
    assert seen[-1].bytes_per_second == pytest.approx(100_000)
    assert seen[-1].seconds_left == pytest.approx(70)
    for second in range(31, 50):
        clock[0] = second
        tracker.at("a", 3_000_000 + (second - 30) * 200_000)
    assert seen[-1].bytes_per_second == pytest.approx(200_000)


def test_two_at_once_do_not_mix(
    downloader: Downloader, hub: Hub, entry: Entry, folder: WeightsFolder
) -> None:
    with folder.locked(entry), pytest.raises(WeightsBusy):
        fetch(downloader, hub, entry)


def test_a_short_revision_is_looked_up_among_the_commits(hub: Hub, entry: Entry) -> None:
    assert entry.hub is not None
    short = replace(entry, hub=replace(entry.hub, revision=hub.commit[:7]))
    assert HubSource(short, hub.url).revision() == hub.commit


def test_the_token_goes_to_the_hub_and_not_where_it_redirects(
    downloader: Downloader, hub: Hub, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_person")
    elsewhere = hub.url.replace("127.0.0.1", "localhost")
    there, hub.url = hub.url, elsewhere
    downloader.download(entry, HubSource(entry, there), Tracker(), Acceptance())
    assert {one.authorization for one in hub.asked if "/resolve/" in one.path} == {"Bearer hf_of_a_person"}
    assert {one.authorization for one in hub.asked if "/cdn/" in one.path} == {""}
