"""Where on this machine front ends and backend find what the other left there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

SERVICE_FOLDERS = "service-*"
"""Below ``store_folder()``: one folder for each running service."""
ADDRESS_FILE = "address"
"""In a service's folder: its URL, for its owner only, beside ``KEY_FILE``."""
KEY_FILE = "key"

INSTALLED_FILE = "installed.json"
"""In the folder of an installed backend: what ``setup_backend.py install`` made there."""


def user_data_folder() -> Path:
    """The user's own data folder, as the platform has it, below which all of ours lies."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "VILAM3Slicer"


def store_folder() -> Path:
    """Where running services keep scans and results."""
    return user_data_folder() / "store"


def backend_folder() -> Path:
    """Where a backend is installed unless the person names another folder."""
    return user_data_folder() / "backend"
