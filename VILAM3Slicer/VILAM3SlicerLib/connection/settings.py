"""What a person has set about backends, kept over sessions by the front end's own settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from VILAM3SlicerLib.connection.address import BackendAddress
from VILAM3SlicerLib.connection.http import Http
from VILAM3SlicerLib.protocol.places import backend_folder

Mode = Literal["", "local", "remote"]
"""Which backend is used: none chosen yet, one that Slicer starts, or one at an address."""


@dataclass(frozen=True)
class ConnectionSettings:
    """All texts, as settings keep them.

    Attributes:
        address: of a backend that runs elsewhere, as it was typed.
        key: of that backend; kept in the settings only where ``remember_key`` is "yes".
        ca_file: PEM file of a certificate authority that the system does not know.
        proxy: for this connection and for downloads; empty means the system's.
        folder: where the backend is installed.
        python: the interpreter that the person named for it.
        starts_with_module: "yes" starts an installed backend when the module is opened.
    """

    mode: Mode = ""
    address: str = ""
    key: str = ""
    remember_key: str = ""
    ca_file: str = ""
    proxy: str = ""
    folder: str = ""
    python: str = ""
    model: str = ""
    device: str = ""
    starts_with_module: str = ""

    @property
    def install_folder(self) -> Path:
        return Path(self.folder).expanduser() if self.folder else backend_folder()


class SettingsStore(Protocol):
    """Named texts that outlive the application."""

    def get(self, name: str) -> str:
        """The text, empty where there is none."""

    def set(self, name: str, value: str) -> None: ...


class KeptSettings:
    """The settings with their store. ``on_change`` is called after each change."""

    def __init__(self, store: SettingsStore) -> None:
        self._store = store
        self._now = _read(store)
        self.on_change: list[Callable[[], None]] = []

    @property
    def now(self) -> ConnectionSettings:
        return self._now

    def change(self, **changes: Any) -> None:
        """Take over what is set anew and keep it; a key that is not to be remembered is not written."""
        before, self._now = self._now, replace(self._now, **changes)
        if self._now == before:
            return
        for field in fields(self._now):
            is_secret = field.name == "key" and self._now.remember_key != "yes"
            self._store.set(field.name, "" if is_secret else getattr(self._now, field.name))
        for listener in tuple(self.on_change):
            listener()


def _read(store: SettingsStore) -> ConnectionSettings:
    values: dict[str, Any] = {field.name: store.get(field.name) for field in fields(ConnectionSettings)}
    if values["mode"] not in ("", "local", "remote"):
        values["mode"] = ""
    return ConnectionSettings(**values)


@dataclass(frozen=True)
class Access:
    """All that is needed to reach a backend."""

    address: BackendAddress
    key: str = ""
    ca_file: str = ""
    proxy: str = ""


MakeHttp = Callable[[Access], Http]
"""Raises InvalidRequest where the CA file or the proxy cannot be used."""
