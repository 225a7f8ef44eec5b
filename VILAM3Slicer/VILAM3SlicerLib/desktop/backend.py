"""The connection put together for Slicer."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

import slicer

from VILAM3SlicerLib.chat.interfaces import Host
from VILAM3SlicerLib.connection.connection import Connection
from VILAM3SlicerLib.connection.consent import RecordedConsents
from VILAM3SlicerLib.connection.http import Http
from VILAM3SlicerLib.connection.installer import Installer, backend_source
from VILAM3SlicerLib.connection.local_backend import LocalBackend
from VILAM3SlicerLib.connection.python_finder import PythonFinder
from VILAM3SlicerLib.connection.settings import KeptSettings
from VILAM3SlicerLib.connection.setup_desk import SetupDesk
from VILAM3SlicerLib.connection.state import StateBoard
from VILAM3SlicerLib.connection.usual_backend import usual_backend
from VILAM3SlicerLib.connection.weights import WeightsDesk
from VILAM3SlicerLib.desktop.qt_http import QtHttp
from VILAM3SlicerLib.desktop.qt_programs import QtPrograms
from VILAM3SlicerLib.desktop.qt_settings import QtSettingsStore
from VILAM3SlicerLib.protocol.places import store_folder, user_data_folder


def desktop_connection(host: Host, module_folder: Path) -> Connection:
    """The one connection of this Slicer; ``module_folder`` is where VILAM3Slicer.py lies."""
    board, settings = StateBoard(), KeptSettings(QtSettingsStore())
    programs, environment = QtPrograms(), dict(slicer.util.startupEnvironment())
    source = backend_source(module_folder)
    consents = scan_consents()
    return Connection(
        board=board,
        settings=settings,
        desk=SetupDesk(
            board,
            settings,
            PythonFinder(programs, environment, Path(slicer.app.slicerHome)),
            Installer(programs, environment, source) if source else None,
        ),
        local=LocalBackend(programs, environment),
        consents=consents,
        make_http=lambda access: QtHttp(access, consents, host),
        host=host,
        store=store_folder(),
    )


def scripted_options(connection: Connection | None) -> dict[str, Any]:
    """Options of ``viewer.ask`` for a script that names no backend: the one of the panel, or used last.

    Args:
        connection: the panel's, None where it was not opened.

    Raises:
        InvalidRequest: the address that is kept cannot be made out.
    """
    access = connection.access if connection is not None else None
    access = access or usual_backend(KeptSettings(QtSettingsStore()).now, store_folder())
    if access is None:
        return {}
    named = {"backend": access.address.url, "key": access.key, "ca_file": access.ca_file or None}
    return {**named, "gate": scan_consents()}


def desktop_weights(connection: Connection, host: Host) -> WeightsDesk:
    """The weights of whatever backend is connected."""

    def http() -> Http | None:
        transport = connection.transport.now
        return transport.http if transport else None

    return WeightsDesk(http, host, getpass.getuser())


def scan_consents() -> RecordedConsents:
    """The record of the addresses to which scans may go, one for all of this person's Slicers."""
    return RecordedConsents(user_data_folder() / "scan_consents.jsonl")
