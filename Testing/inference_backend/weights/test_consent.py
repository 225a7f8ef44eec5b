"""Without consent to the very text nothing is fetched and nothing is used."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from inference_backend.weights.catalogue import Entry
from inference_backend.weights.download import Downloader
from inference_backend.weights.errors import ConsentNeeded
from inference_backend.weights.folder import WeightsFolder
from inference_backend.weights.progress import Tracker
from Testing.inference_backend.weights.conftest import LICENCE, fetch, source, tiny_entry
from Testing.inference_backend.weights.hub_server import Hub

SHA256 = hashlib.sha256(LICENCE.encode()).hexdigest()


@pytest.fixture
def entry() -> Entry:
    return tiny_entry()


def test_without_consent_only_the_licence_is_fetched(
    downloader: Downloader, hub: Hub, entry: Entry, folder: WeightsFolder
) -> None:
    with pytest.raises(ConsentNeeded) as raised:
        fetch(downloader, hub, entry)
    assert raised.value.code == "consent_needed"
    assert "weights download TINY" in raised.value.hint
    assert {path for path in hub.fetched() if path} == {"LICENSE"}
    assert folder.state(entry) != "present"


def test_the_licence_is_shown_as_it_is(downloader: Downloader, hub: Hub, entry: Entry) -> None:
    (text,) = downloader.licences(entry, source(hub, entry), Tracker())
    assert (text.file, text.text, text.sha256, text.accepted) == ("LICENSE", LICENCE, SHA256, False)
    assert {path for path in hub.fetched() if path} == {"LICENSE"}


def test_consent_is_given_once_and_recorded(
    downloader: Downloader, hub: Hub, entry: Entry, folder: WeightsFolder
) -> None:
    fetch(downloader, hub, entry, SHA256)
    (consent,) = folder.consents.all()
    assert (consent.weights, consent.licence, consent.sha256) == ("TINY", "LICENSE", SHA256)
    assert consent.accepted_by == "A. Person"
    age = datetime.now(UTC) - datetime.fromisoformat(consent.accepted_at)
    assert 0 <= age.total_seconds() < 60
    assert (folder.root / "consents" / f"{SHA256}.txt").read_text(encoding="utf-8") == LICENCE
    folder.remove(entry)
    fetch(downloader, hub, entry)
    assert len(folder.consents.all()) == 1


@pytest.mark.parametrize("accepted", ["", "0" * 64, SHA256[:10]])
def test_consent_to_another_text_is_none(
    downloader: Downloader, hub: Hub, entry: Entry, accepted: str
) -> None:
    with pytest.raises(ConsentNeeded):
        fetch(downloader, hub, entry, accepted)
    assert not downloader.folder.consents.all()


def test_a_changed_text_asks_again(
    downloader: Downloader, hub: Hub, entry: Entry, folder: WeightsFolder
) -> None:
    fetch(downloader, hub, entry, SHA256)
    folder.remove(entry)
    hub.files["LICENSE"] += b"And not on Sundays.\n"
    with pytest.raises(ConsentNeeded):
        fetch(downloader, hub, entry)


def test_consent_for_one_is_none_for_another(downloader: Downloader, hub: Hub, entry: Entry) -> None:
    fetch(downloader, hub, entry, SHA256)
    with pytest.raises(ConsentNeeded):
        fetch(downloader, hub, replace(entry, id="OTHER"))


def test_a_source_without_the_licence_gives_nothing(downloader: Downloader, hub: Hub, entry: Entry) -> None:
    del hub.files["LICENSE"]
    with pytest.raises(ConsentNeeded, match="without its licence text"):
        fetch(downloader, hub, entry, SHA256)
    assert not {path for path in hub.fetched() if path}


def test_weights_are_used_only_with_consent(
    downloader: Downloader, hub: Hub, entry: Entry, folder: WeightsFolder
) -> None:
    """Also after the record is gone, or the text on the disk is another one."""
    fetch(downloader, hub, entry, SHA256)
    place = folder.path(entry)
    assert folder.usable(entry) == place
    (place / "LICENSE").write_text("Anything goes.")
    with pytest.raises(ConsentNeeded):
        folder.usable(entry)
    (place / "LICENSE").write_bytes(LICENCE.encode())
    assert folder.usable(entry) == place
    folder.consents.file.unlink()
    with pytest.raises(ConsentNeeded):
        folder.usable(entry)
