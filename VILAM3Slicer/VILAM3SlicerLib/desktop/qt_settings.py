"""The person's settings in Slicer's own settings file."""

from __future__ import annotations

import slicer

GROUP = "VILAM3Slicer"


class QtSettingsStore:
    """Implements ``connection.settings.SettingsStore``."""

    def get(self, name: str) -> str:
        """The text, empty where there is none."""
        return str(slicer.app.userSettings().value(f"{GROUP}/{name}") or "")

    def set(self, name: str, value: str) -> None:
        """Keep a text."""
        slicer.app.userSettings().setValue(f"{GROUP}/{name}", value)
