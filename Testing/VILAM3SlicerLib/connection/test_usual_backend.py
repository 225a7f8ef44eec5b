"""Which backend a script reaches that names none."""

from __future__ import annotations

from pathlib import Path

import pytest

from Testing.VILAM3SlicerLib.connection.programs import DictStore
from Testing.VILAM3SlicerLib.connection.world import lived, world
from VILAM3SlicerLib.connection.settings import ConnectionSettings, KeptSettings
from VILAM3SlicerLib.connection.usual_backend import usual_backend
from VILAM3SlicerLib.protocol.errors import InvalidRequest
from VILAM3SlicerLib.protocol.places import ADDRESS_FILE, KEY_FILE

TERMINAL = "http://127.0.0.1:8741"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The folder in which one service of this person has written its address and key."""
    folder = tmp_path / "store" / "service-1"
    folder.mkdir(parents=True)
    (folder / ADDRESS_FILE).write_text(TERMINAL + "\n")
    (folder / KEY_FILE).write_text("its key\n")
    return tmp_path / "store"


def test_the_one_that_was_connected_to_last_with_all_that_it_takes(store: Path) -> None:
    kept = DictStore(mode="remote", address="gpu:9000", key="k", remember_key="yes", ca_file="/ca.pem")
    access = usual_backend(KeptSettings(kept).now, store)
    assert access is not None
    assert (access.address.url, access.key, access.ca_file) == ("http://gpu:9000", "k", "/ca.pem")


def test_the_key_of_a_service_on_this_machine_is_found(store: Path) -> None:
    access = usual_backend(ConnectionSettings(mode="remote", address="127.0.0.1:8741/"), store)
    assert access is not None
    assert (access.address.url, access.key) == (TERMINAL, "its key")


@pytest.mark.parametrize("mode", ["", "local"])
def test_without_one_that_runs_in_a_terminal_and_else_none(store: Path, tmp_path: Path, mode) -> None:
    access = usual_backend(ConnectionSettings(mode=mode, address="gpu:9000"), store)
    assert access is not None
    assert (access.address.url, access.key) == (TERMINAL, "its key")
    assert usual_backend(ConnectionSettings(mode=mode), tmp_path / "nothing") is None


def test_an_address_that_cannot_be_made_out_is_said(store: Path) -> None:
    with pytest.raises(InvalidRequest):
        usual_backend(ConnectionSettings(mode="remote", address="ftp://gpu"), store)


def test_the_one_that_this_slicer_started_can_be_reached_by_its_scripts(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world(tmp_path) as here:
            assert here.connection.access is None
            await here.installed()
            access = here.connection.access
            assert access is not None
            assert access.address == here.state.address
            assert access.key == here.programs.environments[-1]["VILAM3_KEY"]
            here.connection.stop()
            assert here.connection.access is None

    lived(scenario)
