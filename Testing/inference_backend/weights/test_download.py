"""Weights come whole, are asked for once, and a cut download goes on where it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import snapshot_download

from inference_backend.weights.catalogue import Entry
from inference_backend.weights.download import Downloader
from inference_backend.weights.errors import DownloadError
from inference_backend.weights.folder import WeightsFolder
from Testing.inference_backend.weights import hub_server
from Testing.inference_backend.weights.conftest import FILES, fetch
from Testing.inference_backend.weights.hub_server import Hub

WEIGHTS = "llm/model.safetensors"
NEEDED = {"LICENSE", "README.md", "config.json", "llm/config.json", WEIGHTS}


def test_the_server_of_these_tests_speaks_the_protocol_of_the_hub(hub: Hub, tmp_path: Path) -> None:
    """Judged by the library's own download."""
    got = Path(
        snapshot_download(
            hub_server.REPOSITORY,
            revision=hub.commit,
            endpoint=hub.url,
            local_dir=tmp_path / "its",
            token=False,
        )
    )
    assert {path: (got / path).read_bytes() for path in FILES} == FILES


def test_what_is_needed_comes_whole_and_nothing_else(
    downloader: Downloader, hub: Hub, entry: Entry, folder: WeightsFolder
) -> None:
    fetch(downloader, hub, entry)
    place = folder.path(entry)
    assert folder.state(entry) == "present"
    assert {path: (place / path).read_bytes() for path in NEEDED} == {path: FILES[path] for path in NEEDED}
    assert {path for path in hub.fetched() if path} == NEEDED
    manifest = folder.manifest(entry)
    assert manifest is not None
    assert manifest.revision == hub.commit
    assert {file.path for file in manifest.files} == NEEDED
    assert not list(folder.unfinished(entry).parent.glob("TINY/*"))


@pytest.mark.parametrize("fault", [hub_server.cut_after(100_000), hub_server.reset_after(100_000)])
def test_a_cut_connection_goes_on_within_the_same_run(
    downloader: Downloader, hub: Hub, entry: Entry, folder: WeightsFolder, fault: object
) -> None:
    hub.fail(WEIGHTS, fault)  # type: ignore[arg-type]
    fetch(downloader, hub, entry)
    first, second = hub.ranges(WEIGHTS)
    assert first == ""
    assert 0 < int(second.removeprefix("bytes=").removesuffix("-")) <= 100_000
    assert (folder.path(entry) / WEIGHTS).read_bytes() == FILES[WEIGHTS]


def test_a_second_run_asks_only_for_the_missing_bytes(
    downloader: Downloader, hub: Hub, entry: Entry, folder: WeightsFolder
) -> None:
    hub.fail(WEIGHTS, hub_server.cut_after(100_000), *[hub_server.status(500)] * 5)
    with pytest.raises(DownloadError) as raised:
        fetch(downloader, hub, entry)
    assert raised.value.code == "hub_failed"
    assert "0.1 of 0.3 MB" in raised.value.message
    assert "goes on from here" in raised.value.hint
    assert folder.state(entry) == "partial"
    hub.faults.clear()
    hub.asked.clear()
    fetch(downloader, hub, entry)
    assert hub.ranges(WEIGHTS) == ["bytes=100000-"]
    assert {path for path in hub.fetched() if path} == {WEIGHTS, "llm/config.json"}
    assert (folder.path(entry) / WEIGHTS).read_bytes() == FILES[WEIGHTS]
