"""The backend that is meant where none is named: by a script, or by a front end that is opened again."""

from __future__ import annotations

from pathlib import Path

from VILAM3SlicerLib.connection.address import read_address
from VILAM3SlicerLib.connection.local_backend import running_backends
from VILAM3SlicerLib.connection.settings import Access, ConnectionSettings


def kept_access(settings: ConnectionSettings, store: Path) -> Access:
    """What the settings name. The key of a service of this person lies beside its address in ``store``, so
    nobody has to type it.

    Raises:
        InvalidRequest: the address cannot be made out.
    """
    address = read_address(settings.address)
    key = settings.key or dict(running_backends(store)).get(address.url, "")
    return Access(address, key, settings.ca_file, settings.proxy)


def usual_backend(settings: ConnectionSettings, store: Path) -> Access | None:
    """The one that was connected to last, else one that this person runs in a terminal; None for neither.

    Raises:
        InvalidRequest: see ``kept_access``.
    """
    if settings.mode == "remote":
        return kept_access(settings, store)
    running = next(running_backends(store), None)
    return Access(read_address(running[0]), running[1]) if running is not None else None
