"""The weights panel's desk against the real service and a hub of our own: the licence, then the download."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from browser_viewer.asyncio_host import AsyncioHost
from browser_viewer.httpx_http import HttpxHttp
from inference_backend.weights.catalogue import Catalogue, Entry
from inference_backend.weights.download import Downloader
from inference_backend.weights.folder import WeightsFolder
from inference_backend.weights.hub_source import HubSource, Timeouts
from inference_backend.weights.manager import WeightsManager
from inference_backend.weights.patience import Patience
from Testing.inference_backend.service.running import KEY, RunningService, running
from Testing.inference_backend.weights import hub_server
from Testing.inference_backend.weights.conftest import FILES, LICENCE, tiny_entry
from VILAM3SlicerLib.connection import weights as weights_module
from VILAM3SlicerLib.connection.address import BackendAddress, read_address
from VILAM3SlicerLib.connection.weights import WeightsDesk, weights_text
from VILAM3SlicerLib.protocol.errors import VilaM3Error
from VILAM3SlicerLib.protocol.weights import WeightsDescription


class ClosedGate:
    """Accepting a licence tells nothing of a patient, so it needs no consent for scans."""

    def require(self, address: BackendAddress) -> None:
        raise VilaM3Error("Nothing of a scan may leave.")


@pytest.fixture
def hub() -> Iterator[hub_server.Hub]:
    with hub_server.running_hub(dict(FILES)) as started:
        yield started


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: hub_server.Hub) -> Iterator[RunningService]:
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setattr(weights_module, "ASK_EVERY", 0.05)

    def source(entry: Entry, _folder: Path | None) -> HubSource:
        return HubSource(entry, hub.url, Timeouts(connect=2, silence=5))

    downloader = Downloader(WeightsFolder(tmp_path / "weights"), Patience(tries=1, first_wait=0.01))
    manager = WeightsManager(Catalogue((tiny_entry(),)), downloader, source)
    with running(tmp_path / "store", weights=manager) as started:
        yield started


def at_the_desk(service: RunningService, *steps: Callable[[WeightsDesk], Callable[[], bool]]) -> WeightsDesk:
    """Do one step after the other; each returns what has to come true before the next."""

    async def run() -> WeightsDesk:
        http = HttpxHttp(read_address(service.url), ClosedGate(), KEY)
        desk = WeightsDesk(lambda: http, AsyncioHost(), "A. Person")
        for step in steps:
            holds = step(desk)
            for _ in range(500):
                if holds():
                    break
                await asyncio.sleep(0.02)
            else:
                pytest.fail(f"It did not come to that: {desk.state}")
        await http.close_connections()
        return desk

    return asyncio.run(run())


def asked(desk: WeightsDesk) -> Callable[[], bool]:
    desk.download("TINY")
    return lambda: desk.state.question is not None


def accepted(desk: WeightsDesk) -> Callable[[], bool]:
    desk.accept()
    return lambda: desk.state.list is not None and desk.state.list.weights[0].state == "present"


def test_licence_is_shown_then_accepted_then_fetched(service: RunningService) -> None:
    def read(desk: WeightsDesk) -> Callable[[], bool]:
        assert desk.state.question is not None
        assert desk.state.question.texts[0].text == LICENCE
        return accepted(desk)

    desk = at_the_desk(service, asked, read)
    assert desk.state.error is None
    job = desk.state.job("TINY")
    assert job is not None
    assert job.state == "done"
    assert desk.state.list is not None
    assert weights_text(desk.state.list.weights[0], None) == "here"
    assert "next start" in weights_text(desk.state.list.weights[0], job)


def test_declining_fetches_nothing_but_the_licence(service: RunningService, hub: hub_server.Hub) -> None:
    def decline(desk: WeightsDesk) -> Callable[[], bool]:
        desk.decline()
        desk.accept()
        return lambda: desk.state.question is None

    desk = at_the_desk(service, asked, decline)
    assert desk.state.jobs == ()
    assert {path for path in hub.fetched() if path} == {"LICENSE"}


def test_removing_gives_the_space_back_and_a_second_time_is_told(service: RunningService) -> None:
    def remove(desk: WeightsDesk) -> Callable[[], bool]:
        desk.remove("TINY")
        return lambda: desk.state.list is not None and desk.state.list.weights[0].state == "absent"

    def again(desk: WeightsDesk) -> Callable[[], bool]:
        desk.remove("TINY")
        return lambda: desk.state.error is not None

    desk = at_the_desk(service, asked, accepted, remove, again)
    assert desk.state.error is not None
    assert desk.state.error.code == "weights_missing"


def test_a_hub_that_is_gone_is_told_with_its_reason(service: RunningService, hub: hub_server.Hub) -> None:
    def gone(desk: WeightsDesk) -> Callable[[], bool]:
        hub.files.clear()
        desk.accept()
        return lambda: any(job.state == "failed" for job in desk.state.jobs)

    desk = at_the_desk(service, asked, gone)
    job = desk.state.job("TINY")
    assert job is not None
    assert job.message
    item = WeightsDescription("TINY", "expert", "Tiny", "", "", True, True, "partial", 1, 0, {})
    assert weights_text(item, job) == job.message


def test_without_a_backend_there_are_no_weights() -> None:
    desk = WeightsDesk(lambda: None, AsyncioHost(), "A. Person")
    desk.refresh()
    desk.download("TINY")
    assert desk.state == weights_module.WeightsState()
