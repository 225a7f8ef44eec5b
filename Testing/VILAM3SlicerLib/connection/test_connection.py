"""The connection from nothing to an answer and back: real processes, a real network, no toolkit."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from Testing.browser_viewer.fake_backend import KEY as FAKE_KEY
from Testing.browser_viewer.fake_backend import FakeBackend
from Testing.inference_backend.service.running import KEY, running
from Testing.VILAM3SlicerLib.connection.programs import DictStore
from Testing.VILAM3SlicerLib.connection.world import READY, lived, world
from VILAM3SlicerLib.connection import connection as connection_module
from VILAM3SlicerLib.connection.installer import read_installation
from VILAM3SlicerLib.connection.report import Report
from VILAM3SlicerLib.connection.settings import KeptSettings
from VILAM3SlicerLib.connection.setup_desk import plan_text, removal_text
from VILAM3SlicerLib.protocol.errors import ConnectionLost, VilaM3Error


def test_from_an_empty_home_to_an_answering_backend_with_consent_in_between(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            here.connection.open()
            assert here.state.phase == "absent"
            assert "install" in here.state.allowed
            await here.planned()
            assert here.state.plan is not None
            text = plan_text(here.state.plan)
            assert "3.0 GB" in text
            assert "PyTorch: BSD" in text
            assert str(here.folder) in text
            assert not (here.folder / "installed.json").exists()
            here.connection.desk.agree()
            assert here.state.allowed == {"cancel"}
            await here.until(lambda: here.state.phase == "ready")
            assert here.state.is_installed
            assert here.state.is_own
            assert not here.state.consent_question
            command = here.programs.commands[-1]
            key = here.programs.environments[-1]["VILAM3_KEY"]
            assert len(key) > 30
            assert not any(key in word for word in command)
            for environment in here.programs.environments:
                assert not [name for name in environment if name.startswith("PYTHON")]
            await here.until(lambda: "a line of the log" in here.log)
            assert here.connection.local.log_file is not None
            assert "a line of the log" in here.connection.local.log_file.read_text()
            here.connection.stop()
            assert here.state.phase == "stopped"
            await here.until(lambda: not here.connection.local.is_running)
            await here.until(lambda: here.state.found is not None)
            assert "5.7 GB" in removal_text(here.state)
            assert "1.2 GB are models" in removal_text(here.state)
            here.connection.desk.remove(keep_weights=False)
            await here.until(lambda: here.state.phase == "absent" and not here.state.setup)
            assert read_installation(here.folder) is None

    lived(scenario)


def test_what_fetches_goes_through_the_named_proxy(tmp_path: Path) -> None:
    """The packages, and the models that the backend downloads later."""

    async def scenario() -> None:
        async with world(tmp_path) as here:
            here.connection.settings.change(proxy="http://proxy:8080")
            await here.installed()
            started = zip(here.programs.commands, here.programs.environments, strict=True)
            fetching = [told for command, told in started if {"--yes", "serve"} & set(command)]
            assert [told["HTTPS_PROXY"] for told in fetching] == ["http://proxy:8080"] * 2

    lived(scenario)


def test_a_backend_is_started_as_set_and_ends_with_slicer(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            here.connection.settings.change(model="VILA-M3-3B", device="cpu")
            await here.installed()
            command = " ".join(here.programs.commands[-1])
            assert "--model VILA-M3-3B --device cpu" in command
            here.connection.close()
            await here.until(lambda: not here.connection.local.is_running)

    lived(scenario)


def test_an_installation_that_runs_is_stopped_with_slicer_and_goes_on_the_next_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            await here.half_installed()
            here.connection.close()
            await here.until(lambda: here.state.setup == "")
        (here.folder / "slow").unlink()
        async with world(tmp_path) as again:
            await again.installed()

    lived(scenario)


def test_downloaded_models_are_kept_if_the_person_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            for keeps in (True, False):
                await here.installed()
                here.connection.stop()
                await here.until(lambda: not here.connection.local.is_running)
                here.connection.desk.remove(keep_weights=keeps)
                assert ("--keep-weights" in here.programs.commands[-1]) is keeps
                await here.until(lambda: here.state.phase == "absent" and not here.state.setup)

    lived(scenario)


def test_declining_the_plan_installs_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            await here.planned()
            here.connection.desk.cancel()
            assert here.state.setup == ""
            assert here.state.plan is None
            here.connection.desk.agree()
            assert here.state.setup == ""
            assert not list(here.folder.iterdir())

    lived(scenario)


def test_a_full_disk_is_told_and_the_next_try_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            (here.folder / "full").touch()
            await here.planned()
            here.connection.desk.agree()
            await here.until(lambda: here.state.error is not None)
            assert here.state.error.code == "out_of_space"
            assert here.state.setup == ""
            assert any("No space left" in line for line in here.log)
            (here.folder / "full").unlink()
            await here.installed()
            assert here.state.error is None

    lived(scenario)


def test_a_running_installation_can_be_stopped(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            await here.half_installed()
            assert here.state.progress.share == pytest.approx(0.125)
            here.connection.desk.cancel()
            await here.until(lambda: here.state.error is not None)
            assert here.state.error.code == "cancelled"
            assert not here.state.is_installed

    lived(scenario)


@pytest.mark.parametrize("python", ["/nowhere/python", "{root}/Slicer/python"])
def test_a_python_that_cannot_be_used_is_told(tmp_path: Path, python: str) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            here.connection.settings.change(python=python.format(root=tmp_path))
            here.connection.desk.prepare()
            await here.until(lambda: here.state.error is not None)
            assert here.state.error.code == "python_unusable"
            assert "python.org" in here.state.error.hint

    lived(scenario)


def test_a_backend_that_crashes_is_told_with_its_log_and_can_be_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "LOOK_EVERY", 0.1)

    async def scenario() -> None:
        async with world(tmp_path) as here:
            await here.installed()
            (tmp_path / "crash").touch()
            await here.until(lambda: here.state.phase == "failed" and not here.connection.local.is_running)
            await here.until(lambda: here.state.error.code == "backend_ended")
            assert "exit code 9" in here.state.error.message
            assert "a line of the log" in here.state.error.message
            assert here.state.address is None
            (tmp_path / "crash").unlink()
            here.connection.start()
            await here.until(lambda: here.state.phase == "ready")

    lived(scenario)


def test_stopping_and_starting_at_once_ends_with_a_new_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            await here.installed()
            first = here.state.address
            here.connection.stop()
            here.connection.start()
            await here.until(lambda: here.state.phase == "ready")
            assert here.state.address != first
            assert sum("serve" in command for command in here.programs.commands) == 2

    lived(scenario)


def test_two_slicers_have_a_backend_each_and_closing_one_leaves_the_other(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as first:
            await first.installed()
            async with world(tmp_path) as second:
                second.connection.open()
                assert second.state.is_installed
                second.connection.start()
                await second.until(lambda: second.state.phase == "ready")
                assert second.state.address != first.state.address
            reports: list[Report] = []
            first.connection.transport.now.status(
                lambda _status: reports.append(Report(True, "ok", "")), reports.append
            )
            await first.until(lambda: bool(reports))
            assert reports[0].code == "ok"

    lived(scenario)


def test_questions_without_a_backend_are_told_what_to_do(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            told: list[VilaM3Error] = []
            here.connection.transport.start_turn({}, lambda _: None, lambda: None, told.append)
            here.connection.transport.get_image("0" * 64, lambda _: None, told.append)
            assert all(isinstance(error, ConnectionLost) for error in told)
            assert len(told) == 2
            assert "Start one" in told[0].hint

    lived(scenario)


def test_another_backend_is_connected_told_when_gone_and_found_when_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "LOOK_EVERY", 0.1)

    async def scenario() -> None:
        async with world(tmp_path) as here:
            backend = FakeBackend().start()
            here.connection.settings.change(address=f" {backend.url}/v1/ ", key=FAKE_KEY)
            here.connection.connect()
            await here.until(lambda: here.state.phase == "ready")
            assert not here.state.is_own
            assert not here.state.is_remote
            await asyncio.to_thread(backend.stop)
            await here.until(lambda: here.state.phase == "failed")
            assert here.state.error.code in ("nothing_listens", "connection_lost")
            again = FakeBackend(backend.port).start()
            await here.until(lambda: here.state.phase == "ready")
            assert here.state.error is None
            await asyncio.to_thread(again.stop)

    lived(scenario)


def test_a_changed_key_is_told_and_a_right_one_connects(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            with running(tmp_path / "service") as service:
                here.connection.settings.change(address=service.url, key="an old key of some length")
                here.connection.connect()
                await here.until(lambda: here.state.phase == "failed")
                assert here.state.error.code == "unauthorized"
                here.connection.settings.change(key=KEY)
                here.connection.connect()
                await here.until(lambda: here.state.phase == "ready")
                assert here.store["key"] == ""
                here.connection.settings.change(remember_key="yes")
                assert here.store["key"] == KEY
                async with world(tmp_path, store=here.store) as tomorrow:
                    tomorrow.connection.open()
                    await tomorrow.until(lambda: tomorrow.state.phase == "ready")
                here.connection.settings.change(remember_key="")
                async with world(tmp_path, store=here.store) as next_week:
                    next_week.connection.open()
                    assert next_week.state.phase == "absent"
                    assert next_week.state.error is None

    (tmp_path / "service").mkdir()
    lived(scenario)


def test_another_machine_asks_for_consent_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            here.connection.settings.change(address="https://gpu.invalid")
            here.connection.connect()
            assert "gpu.invalid" in here.state.consent_question
            assert here.state.is_remote
            assert "stop" in here.state.allowed
            told: list[VilaM3Error] = []
            here.connection.transport.start_turn({}, lambda _: None, lambda: None, told.append)
            assert told[0].code == "scan_consent_needed"
            here.connection.agree_to_send()
            assert here.state.consent_question == ""
            here.connection.connect()
            assert here.state.consent_question == ""
            here.connection.take_back_consent("https://gpu.invalid:443")
            assert here.state.consent_question
            assert not here.consents.all()

    lived(scenario)


def test_trying_settings_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "service").mkdir()

    async def scenario() -> None:
        async with world(tmp_path) as here:
            reports: list[Report] = []
            with running(tmp_path / "service") as service:
                here.connection.test(reports.append, address=service.url, key=KEY)
                await here.until(lambda: len(reports) == 1)
                here.connection.test(reports.append, address=service.url, key="wrong")
                await here.until(lambda: len(reports) == 2)
            here.connection.test(reports.append, address="ftp://gpu")
            assert [report.code for report in reports] == ["ok", "unauthorized", "address_unusable"]
            assert "All is well" in reports[0].message
            assert here.connection.settings.now.address == ""
            assert here.state.phase == "absent"

    lived(scenario)


def test_a_backend_that_the_person_runs_in_a_terminal_is_found(tmp_path: Path) -> None:
    (tmp_path / "service").mkdir()

    async def scenario() -> None:
        async with world(tmp_path) as here:
            with running(tmp_path / "service") as service:
                folder = tmp_path / "store" / "service-1"
                folder.mkdir(parents=True)
                (folder / "address").write_text(service.url)
                (folder / "key").write_text(KEY)
                here.connection.open()
                assert here.state.others == (service.url,)
                reports: list[Report] = []
                here.connection.test(reports.append, address=service.url)
                await here.until(lambda: bool(reports))
                assert reports[0].is_ok
                here.connection.settings.change(address=service.url)
                here.connection.connect()
                await here.until(lambda: here.state.phase == "ready")
                assert here.store["key"] == ""

    lived(scenario)


def test_a_model_that_failed_is_told(tmp_path: Path) -> None:
    status = {**READY, "readiness": "failed", "detail": "It needs 40 GB"}

    async def scenario() -> None:
        async with world(tmp_path, status) as here:
            await here.planned()
            here.connection.desk.agree()
            await here.until(lambda: here.state.phase == "failed")
            assert here.state.error.code == "model_failed"
            assert "40 GB" in here.state.error.message

    lived(scenario)


def test_settings_that_nobody_wrote_are_passed_over() -> None:
    kept = KeptSettings(DictStore(mode="nonsense", address="gpu"))
    assert kept.now.mode == ""
    assert kept.now.address == "gpu"
