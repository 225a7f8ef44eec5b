"""Weights through the service, as a settings page uses them: real client, real download, a hub of our own."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from inference_backend.weights.catalogue import Catalogue, Entry, Kind
from inference_backend.weights.download import Downloader
from inference_backend.weights.folder import WeightsFolder
from inference_backend.weights.hub_source import HubSource, Timeouts
from inference_backend.weights.manager import WeightsManager
from inference_backend.weights.patience import Patience
from Testing.inference_backend.service.fakes import DESCRIPTION
from Testing.inference_backend.service.running import RunningService, error_of, running
from Testing.inference_backend.weights import hub_server
from Testing.inference_backend.weights.conftest import FILES, LICENCE, tiny_entry

WEIGHTS = "llm/model.safetensors"
SHA256 = hashlib.sha256(LICENCE.encode()).hexdigest()
ACCEPTED = {"accepted": [SHA256], "accepted_by": "A. Person"}


@dataclass(frozen=True)
class Page:
    """What a settings page holds: the service, and behind it the hub and the folder."""

    service: RunningService
    hub: hub_server.Hub
    folder: WeightsFolder

    def get(self, path: str) -> Any:
        response = self.service.http.get(f"/v1/weights{path}")
        assert response.status_code == 200, response.text
        return response.json()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        response = self.service.http.post(f"/v1/weights{path}", json=body)
        assert response.status_code == 202, response.text
        return response.json()

    def when(self, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The job once it is so."""
        for _ in range(400):
            job: dict[str, Any] = self.get("/TINY/job")
            if reached(job):
                return job
            time.sleep(0.025)
        raise AssertionError(job)

    def ended(self) -> dict[str, Any]:
        return self.when(lambda job: job["state"] != "running")


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    monkeypatch.setenv("HF_TOKEN", "")
    folder = WeightsFolder(tmp_path / "weights", tmp_path / "demo_model")
    entry = tiny_entry()
    free = replace(tiny_entry(needs_consent=False), id="fake-m3", kind=Kind.VILA_M3, rank=1)
    demo = replace(free, id="demo", kind=Kind.DEMO, hub=None)
    with hub_server.running_hub(dict(FILES)) as hub:

        def source(entry: Entry, _folder: Path | None) -> HubSource:
            return HubSource(entry, hub.url, Timeouts(connect=2, silence=5))

        downloader = Downloader(folder, Patience(tries=2, first_wait=0.01))
        manager = WeightsManager(Catalogue((entry, free, demo)), downloader, source)
        with running(tmp_path / "store", weights=manager) as service:
            yield Page(service, hub, folder)


def test_from_the_list_over_the_licence_to_the_weights(page: Page) -> None:
    listed = page.get("")
    assert listed["folder"] == str(page.folder.root)
    tiny = listed["weights"][0]
    assert (tiny["id"], tiny["state"], tiny["accepted"]) == ("TINY", "absent", False)
    (licence,) = page.get("/tiny/licences")
    assert (licence["text"], licence["sha256"], licence["accepted"]) == (LICENCE, SHA256, False)
    assert page.post("/TINY/download", ACCEPTED)["state"] == "running"
    job = page.ended()
    assert (job["kind"], job["state"], job["code"]) == ("download", "done", "")
    total = sum(len(content) for path, content in FILES.items() if tiny_entry().needs(path))
    assert job["progress"]["done_bytes"] == job["progress"]["total_bytes"] == total
    tiny = page.get("")["weights"][0]
    assert (tiny["state"], tiny["accepted"]) == ("present", True)
    assert (page.folder.path(tiny_entry()) / WEIGHTS).read_bytes() == FILES[WEIGHTS]
    assert page.get("/TINY/licences")[0]["accepted"]


def test_without_consent_the_job_fails_and_says_so(page: Page) -> None:
    page.post("/TINY/download", {})
    job = page.ended()
    assert (job["state"], job["code"]) == ("failed", "consent_needed")
    assert job["message"]
    assert job["hint"]
    assert {path for path in page.hub.fetched() if path} == {"LICENSE"}


@pytest.mark.parametrize(
    "body",
    [{"accepted": [SHA256]}, {"accepted": ["LICENSE"], "accepted_by": "A. Person"}, {"accepted": SHA256}],
)
def test_consent_without_a_name_or_to_no_text_is_no_request(page: Page, body: dict[str, Any]) -> None:
    response = page.service.http.post("/v1/weights/TINY/download", json=body)
    assert error_of(response) == (422, "invalid_request")


def test_a_download_is_watched_cancelled_and_goes_on(page: Page) -> None:
    page.hub.fail(WEIGHTS, hub_server.stall_after(100_000, 2))
    page.post("/TINY/download", ACCEPTED)
    watched = page.when(lambda job: bool(job["progress"]) and job["progress"]["file"] == WEIGHTS)
    assert watched["state"] == "running"
    again = page.service.http.post("/v1/weights/TINY/download", json=ACCEPTED)
    assert error_of(again) == (409, "in_use")
    assert error_of(page.service.http.delete("/v1/weights/TINY")) == (409, "in_use")
    assert page.service.http.delete("/v1/weights/TINY/job").status_code == 200
    assert page.ended()["state"] == "cancelled"
    page.hub.asked.clear()
    page.post("/TINY/download", {})
    assert page.ended()["state"] == "done"
    assert page.hub.ranges(WEIGHTS) == ["bytes=100000-"]


def test_what_the_hub_refuses_is_told(page: Page) -> None:
    page.hub.fail("", *[hub_server.status(403, x_error_code="GatedRepo")] * 9)
    response = page.service.http.get("/v1/weights/TINY/licences")
    assert error_of(response) == (502, "access_denied")
    page.post("/TINY/download", ACCEPTED)
    job = page.ended()
    assert (job["state"], job["code"]) == ("failed", "access_denied")
    assert "HF_TOKEN" in job["hint"]


def test_verify_names_the_damage_and_remove_gives_the_space_back(page: Page) -> None:
    page.post("/TINY/download", ACCEPTED)
    page.ended()
    page.post("/TINY/verify", {})
    assert page.ended()["state"] == "done"
    place = page.folder.path(tiny_entry())
    (place / WEIGHTS).write_bytes(bytes(len(FILES[WEIGHTS])))
    page.post("/TINY/verify", {})
    job = page.ended()
    assert (job["kind"], job["state"], job["code"]) == ("verify", "failed", "weights_damaged")
    assert WEIGHTS in job["message"]
    size = page.folder.size(tiny_entry())
    removed = page.service.http.delete("/v1/weights/TINY")
    assert removed.json() == {"freed_bytes": size}
    assert not place.exists()


def test_what_is_not_there_is_told_as_such(page: Page) -> None:
    http = page.service.http
    assert error_of(http.get("/v1/weights/nothing/licences")) == (404, "weights_unknown")
    assert error_of(http.get("/v1/weights/..%2f..%2fetc/job"))[0] == 404
    assert error_of(http.get("/v1/weights/TINY/job")) == (404, "not_found")
    assert error_of(http.post("/v1/weights/TINY/verify")) == (404, "weights_missing")
    assert error_of(http.delete("/v1/weights/TINY")) == (404, "weights_missing")


def test_the_model_that_answers_is_not_removed(page: Page) -> None:
    http = page.service.http
    page.service.model.readiness = "loading"
    assert error_of(http.delete("/v1/weights/fake-m3")) == (409, "in_use")
    page.service.model.readiness = "ready"
    assert DESCRIPTION.is_demo
    assert error_of(http.delete("/v1/weights/DEMO")) == (409, "in_use")
    assert error_of(http.delete("/v1/weights/fake-m3")) == (404, "weights_missing")


def test_the_end_of_the_service_ends_a_download(page: Page) -> None:
    page.hub.fail(WEIGHTS, *[hub_server.stall_after(1000, 0.2)] * 50)
    page.post("/TINY/download", ACCEPTED)
    page.when(lambda job: bool(job["progress"]) and job["progress"]["file"] == WEIGHTS)
    began = time.monotonic()
    manager = page.service.weights
    manager.close()
    assert time.monotonic() - began < 3
    assert manager.job("TINY").state == "cancelled"
