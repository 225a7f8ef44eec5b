"""Pickles become plain tensors only when a person agrees; what is in the way is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inference_backend.installation import commands
from inference_backend.weights.catalogue import Catalogue, Conversion, Entry, Kind, read_catalogue
from inference_backend.weights.conversion import convert, open_question
from inference_backend.weights.describe import describe, table
from inference_backend.weights.download import Downloader
from inference_backend.weights.errors import ConsentNeeded, WeightsDamaged, WeightsMissing
from inference_backend.weights.folder import WeightsFolder
from inference_backend.weights.manager import WeightsManager
from inference_backend.weights.manifest import Manifest
from inference_backend.weights.progress import Tracker
from Testing.inference_backend.service.running import RunningService, error_of, running
from Testing.inference_backend.weights.conftest import tiny_entry
from Testing.setup_backend.test_weights import checkout  # noqa: F401 - a fixture
from VILAM3SlicerLib.protocol.errors import InvalidRequest

QUESTION = "They are pickles."
MADE = "converted/model.safetensors"


@pytest.fixture
def entry() -> Entry:
    conversion = Conversion("Testing.inference_backend.weights.converting", MADE, QUESTION)
    return replace(tiny_entry(needs_consent=False), kind=Kind.EXPERT, conversion=conversion, memory_bytes=1)


@pytest.fixture
def folder(tmp_path: Path) -> WeightsFolder:
    return WeightsFolder(tmp_path / "weights", tmp_path / "demo")


def fetched(entry: Entry, folder: WeightsFolder, content: bytes = b"weights") -> Path:
    place = folder.path(entry)
    place.mkdir(parents=True)
    (place / "model.pt").write_bytes(content)
    Manifest(entry.id, "hub", "", "2026-11-25T09:00:00+00:00", ()).write(place)
    return place


def test_it_is_asked_once_and_done_when_agreed(entry: Entry, folder: WeightsFolder) -> None:
    assert open_question(entry, folder) == ""
    place = fetched(entry, folder)
    assert open_question(entry, folder) == QUESTION
    assert "weights convert TINY" in table(describe(Catalogue((entry,)), folder))
    with pytest.raises(ConsentNeeded, match=QUESTION) as error:
        convert(entry, folder, False, Tracker())
    assert "weights convert TINY" in error.value.hint
    assert not (place / "converted").exists()
    convert(entry, folder, True, Tracker())
    assert (place / MADE).read_bytes() == b"weights"
    assert open_question(entry, folder) == ""


def test_what_cannot_be_converted_is_told(entry: Entry, folder: WeightsFolder) -> None:
    with pytest.raises(WeightsMissing):
        convert(entry, folder, True, Tracker())
    fetched(entry, folder, b"bomb")
    with pytest.raises(WeightsDamaged, match="more than layers"):
        convert(entry, folder, True, Tracker())
    assert open_question(entry, folder) == QUESTION
    with pytest.raises(InvalidRequest, match="needs no conversion"):
        convert(replace(entry, conversion=None), folder, True, Tracker())


@pytest.fixture
def service(entry: Entry, folder: WeightsFolder, tmp_path: Path) -> Iterator[RunningService]:
    manager = WeightsManager(Catalogue((entry,)), Downloader(folder))
    with running(tmp_path / "store", weights=manager) as service:
        yield service


def ended(service: RunningService) -> Any:
    for _ in range(600):
        job = service.http.get("/v1/weights/TINY/job").json()
        if job["state"] != "running":
            return job
        time.sleep(0.05)
    raise AssertionError(job)


def test_a_settings_page_asks_and_has_it_done(
    service: RunningService, entry: Entry, folder: WeightsFolder
) -> None:
    early = service.http.post("/v1/weights/TINY/convert", json={"agreed": True})
    assert error_of(early) == (404, "weights_missing")
    place = fetched(entry, folder)
    (listed,) = service.http.get("/v1/weights").json()["weights"]
    assert listed["conversion"] == QUESTION
    assert service.http.post("/v1/weights/TINY/convert", json={}).status_code == 202
    job = ended(service)
    assert (job["kind"], job["state"], job["code"]) == ("convert", "failed", "consent_needed")
    assert not (place / MADE).exists()
    assert service.http.post("/v1/weights/TINY/convert", json={"agreed": True}).status_code == 202
    assert ended(service)["state"] == "done"
    assert (place / MADE).is_file()


def test_a_conversion_is_stopped(service: RunningService, entry: Entry, folder: WeightsFolder) -> None:
    place = fetched(entry, folder, b"slow")
    service.http.post("/v1/weights/TINY/convert", json={"agreed": True})
    started = time.monotonic()
    service.http.delete("/v1/weights/TINY/job")
    assert ended(service)["state"] == "cancelled"
    assert time.monotonic() - started < 15
    assert not (place / MADE).exists()


def test_the_set_up_program_asks_the_person(
    checkout: Path,  # noqa: F811
    capfd: pytest.CaptureFixture[str],
) -> None:
    cxr = read_catalogue()["CXR"]
    assert cxr.conversion is not None
    command = ["weights", "convert", "cxr"]
    assert commands.main(command, checkout) == 5
    assert "not here" in capfd.readouterr().err
    fetched(cxr, WeightsFolder(checkout / "weights"))
    assert commands.main(command, checkout) == 5
    assert "not agreed to" in capfd.readouterr().err
    assert commands.main([*command, "--yes"], checkout) == 5
    assert "is missing" in capfd.readouterr().err  # the real program ran: there is no released file
