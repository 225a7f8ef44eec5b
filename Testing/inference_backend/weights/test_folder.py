"""The weights folder: verify finds damage, remove gives space back, a copied folder serves offline."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from inference_backend.weights.catalogue import Entry
from inference_backend.weights.download import Acceptance, Downloader, source_of
from inference_backend.weights.errors import ConsentNeeded, DownloadError, WeightsBusy, WeightsMissing
from inference_backend.weights.folder import WeightsFolder, default_root
from inference_backend.weights.progress import Tracker
from Testing.inference_backend.weights.conftest import FILES, fetch, tiny_entry
from Testing.inference_backend.weights.hub_server import Hub

WEIGHTS = "llm/model.safetensors"


@pytest.fixture
def present(downloader: Downloader, hub: Hub, entry: Entry) -> Entry:
    fetch(downloader, hub, entry)
    return entry


def damages(folder: WeightsFolder, entry: Entry) -> list[tuple[str, str]]:
    return [(damage.path, damage.reason) for _, _, damage in folder.damages(entry) if damage]


def copy_in(downloader: Downloader, entry: Entry, copied: Path) -> None:
    downloader.download(entry, source_of(entry, copied), Tracker(), Acceptance())


def test_verify_finds_nothing_wrong_with_what_has_just_come(folder: WeightsFolder, present: Entry) -> None:
    assert damages(folder, present) == []


def test_verify_finds_a_flipped_bit_a_missing_and_a_shorter_file(
    folder: WeightsFolder, present: Entry
) -> None:
    place = folder.path(present)
    content = bytearray((place / WEIGHTS).read_bytes())
    content[len(content) // 3] ^= 0x10
    (place / WEIGHTS).write_bytes(content)
    (place / "config.json").unlink()
    (place / "README.md").write_bytes(b"# A")
    found = dict(damages(folder, present))
    assert set(found) == {WEIGHTS, "config.json", "README.md"}
    assert "SHA-256" in found[WEIGHTS]
    assert found["config.json"] == "is missing"
    assert found["README.md"] == "has 3 bytes, not 15"


def test_verify_of_what_is_not_here_says_how_to_get_it(folder: WeightsFolder, entry: Entry) -> None:
    with pytest.raises(WeightsMissing, match="not here") as raised:
        damages(folder, entry)
    assert "weights download TINY" in raised.value.hint


def test_damaged_weights_are_mended_by_fetching_them_again(
    downloader: Downloader, hub: Hub, folder: WeightsFolder, present: Entry
) -> None:
    (folder.path(present) / WEIGHTS).write_bytes(b"x")
    hub.asked.clear()
    fetch(downloader, hub, present)
    assert damages(folder, present) == []
    assert {path for path in hub.fetched() if path} == {WEIGHTS}


def test_remove_gives_the_space_back_and_says_how_much(folder: WeightsFolder, present: Entry) -> None:
    size = folder.size(present)
    assert size > sum(len(FILES[path]) for path in FILES if present.needs(path))
    assert folder.remove(present) == size
    assert folder.state(present) == "absent"
    assert folder.size(present) == 0
    with pytest.raises(WeightsMissing):
        folder.remove(present)


def test_what_is_being_fetched_is_not_removed(folder: WeightsFolder, present: Entry) -> None:
    other = WeightsFolder(folder.root)
    with other.locked(present), pytest.raises(WeightsBusy):
        folder.remove(present)
    assert folder.state(present) == "present"


def test_a_copied_folder_serves_without_a_network(
    downloader: Downloader, folder: WeightsFolder, present: Entry, tmp_path: Path
) -> None:
    copied = shutil.copytree(folder.path(present), tmp_path / "stick")
    before = folder.manifest(present)
    folder.remove(present)
    copy_in(downloader, present, copied)
    after = folder.manifest(present)
    assert before is not None
    assert after is not None
    assert (after.files, after.revision) == (before.files, before.revision)
    assert damages(folder, present) == []


def test_a_copy_that_was_damaged_on_the_way_is_refused(
    downloader: Downloader, folder: WeightsFolder, present: Entry, tmp_path: Path
) -> None:
    copied = shutil.copytree(folder.path(present), tmp_path / "stick")
    folder.remove(present)
    (copied / WEIGHTS).write_bytes(bytes(len(FILES[WEIGHTS])))
    with pytest.raises(DownloadError) as raised:
        copy_in(downloader, present, copied)
    assert raised.value.code == "checksum_mismatch"
    (copied / WEIGHTS).unlink()
    with pytest.raises(DownloadError, match="has no llm/model"):
        copy_in(downloader, present, copied)


def test_a_folder_that_others_made_gives_its_needed_files(
    downloader: Downloader, folder: WeightsFolder, entry: Entry, tmp_path: Path
) -> None:
    """As ``git clone`` or the hub's own tools leave it."""
    theirs = {**FILES, ".git/config.json": b"{}", ".cache/huggingface/x.json": b"{}"}
    for path, content in theirs.items():
        (tmp_path / "theirs" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "theirs" / path).write_bytes(content)
    copy_in(downloader, entry, tmp_path / "theirs")
    manifest = folder.manifest(entry)
    assert manifest is not None
    assert {file.path for file in manifest.files} == {path for path in FILES if entry.needs(path)}


def test_a_copied_folder_needs_consent_too(
    downloader: Downloader, folder: WeightsFolder, present: Entry, tmp_path: Path
) -> None:
    copied = shutil.copytree(folder.path(present), tmp_path / "stick")
    folder.remove(present)
    with pytest.raises(ConsentNeeded):
        copy_in(downloader, tiny_entry(), copied)
    assert folder.state(present) != "present"


def test_the_folder_may_be_elsewhere(monkeypatch: pytest.MonkeyPatch, repository: Path) -> None:
    monkeypatch.delenv("VILAM3_WEIGHTS", raising=False)
    assert default_root() == repository / ".cache" / "weights"
    monkeypatch.setenv("VILAM3_WEIGHTS", "/elsewhere")
    assert default_root() == Path("/elsewhere")
