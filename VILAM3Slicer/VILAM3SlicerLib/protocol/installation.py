"""What ``setup_backend.py install --plan --json`` tells the module, as one JSON object."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class InstallPlan:
    """What an installation will do. Sizes are in bytes and about right.

    Attributes:
        state: how far the folder is: ``absent``, ``unfinished``, ``outdated`` or ``complete``.
        steps: those that are left.
        disk_bytes: up to this much when all is done.
        installed_bytes: what lies in the folder now.
        weights_bytes: that part of it which are models that were downloaded later.
        licences: pairs of what is installed and its licence.
    """

    folder: str
    state: str
    steps: tuple[str, ...]
    download_bytes: int
    disk_bytes: int
    free_bytes: int
    installed_bytes: int
    weights_bytes: int
    licences: tuple[tuple[str, str], ...]
    python: str
