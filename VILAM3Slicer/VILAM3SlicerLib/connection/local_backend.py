"""The backend that this Slicer starts for itself: a process of its own with a random key and any free port.

Each Slicer starts its own, so that neither disturbs the other; the backend chooses model and precision by
the memory that is free. It ends when its standard input is closed, which also happens when Slicer crashes.
"""

from __future__ import annotations

import json
import os
import secrets
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from VILAM3SlicerLib.connection.installer import InstalledBackend
from VILAM3SlicerLib.connection.programs import Program, Programs, clean_environment, proxy_environment
from VILAM3SlicerLib.protocol.errors import ConnectionLost, VilaM3Error
from VILAM3SlicerLib.protocol.phrases import phrases
from VILAM3SlicerLib.protocol.places import ADDRESS_FILE, KEY_FILE, SERVICE_FOLDERS

_ = phrases(__name__)

KEY_VARIABLE = "VILAM3_KEY"
LOG_LINES = 2000
KEPT_LOGS = 5
GRACE = 5.0
"""Seconds that a backend gets to wipe its scans when Slicer ends."""


@dataclass(frozen=True)
class ServeChoice:
    """How the backend is to be started; empty means that it chooses."""

    model: str = ""
    device: str = ""
    proxy: str = ""


class LocalBackend:
    """At most one backend, with its log."""

    def __init__(self, programs: Programs, environment: Mapping[str, str]) -> None:
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self.log_file: Path | None = None
        self._programs = programs
        self._environment = environment
        self._program: Program | None = None
        self._stopping = False

    @property
    def is_running(self) -> bool:
        return self._program is not None

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to end and has not yet."""
        return self._program is not None and self._stopping

    def start(
        self,
        installed: InstalledBackend,
        choice: ServeChoice,
        *,
        on_ready: Callable[[str, str], None],
        on_log: Callable[[str], None],
        on_end: Callable[[VilaM3Error | None], None],
    ) -> None:
        """Start it. ``on_ready`` is told its URL and key once it listens; the model may load still.

        ``on_end`` is called once when it has ended: with None where that was wanted.
        """
        key = secrets.token_urlsafe(32)
        self._stopping = False
        self.log.clear()
        self.log_file = new_log_file(installed.folder / "logs")

        def read(line: str) -> None:
            url = _ready_url(line)
            if url:
                on_ready(url, key)

        def keep(line: str) -> None:
            self._keep(line)
            on_log(line)

        def end(code: int | None) -> None:
            self._program = None
            on_end(None if self._stopping else self._why_it_ended(code))

        environment = clean_environment(
            self._environment, **proxy_environment(choice.proxy), **{KEY_VARIABLE: key}
        )
        self._program = self._programs.start(
            serve_command(installed, choice), environment, on_output=read, on_log=keep, on_end=end
        )

    def stop(self) -> None:
        """Ask it to end; ``on_end`` tells when it has."""
        if self._program is not None:
            self._stopping = True
            self._program.close_input()

    def kill_if_it_did_not_stop(self) -> None:
        """End it by force, where it was asked to end and did not."""
        if self._program is not None and self._stopping:
            self._program.kill()

    def close(self) -> None:
        """Slicer ends: wait a little for a clean end, then end it by force."""
        program = self._program
        if program is not None:
            self.stop()
            if not program.wait(GRACE):
                program.kill()

    def _keep(self, line: str) -> None:
        self.log.append(line)
        if self.log_file is not None:
            with self.log_file.open("a", encoding="utf-8") as file:
                file.write(line + "\n")

    def _why_it_ended(self, code: int | None) -> VilaM3Error:
        tail = "\n".join(list(self.log)[-3:])
        how = "could not be started" if code is None else f"ended by itself (exit code {code})"
        return ConnectionLost(
            f"The backend {how}.\n{tail}".rstrip(), _("Start it again; its log says more."), "backend_ended"
        )


def serve_command(installed: InstalledBackend, choice: ServeChoice) -> list[str]:
    """The backend's command line; the key is not in it, as other users could read it there."""
    python = [installed.python, "-I", "-X", "utf8"]
    command = [*python, "-m", "inference_backend", "serve", "--port", "0", "--watch-stdin"]
    command += ["--model", choice.model] if choice.model else []
    return command + (["--device", choice.device] if choice.device else [])


def new_log_file(folder: Path) -> Path:
    """A log of this Slicer's own; of older ones the newest few are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    logs = sorted(folder.glob("backend-*.log"), key=lambda path: path.stat().st_mtime)
    for old in logs[: max(0, len(logs) - KEPT_LOGS + 1)]:
        old.unlink(missing_ok=True)
    path = folder / f"backend-{os.getpid()}.log"
    path.write_text("", encoding="utf-8")
    return path


def running_backends(store: Path) -> Iterator[tuple[str, str]]:
    """URL and key of each backend that this person runs in a terminal (``setup_backend.py serve``)."""
    for folder in sorted(store.glob(SERVICE_FOLDERS)):
        try:
            yield (folder / ADDRESS_FILE).read_text().strip(), (folder / KEY_FILE).read_text().strip()
        except OSError:
            continue


def _ready_url(line: str) -> str:
    """The URL in the backend's ready line; empty for any other line."""
    try:
        said = json.loads(line)
    except ValueError:
        return ""
    return str(said.get("url", "")) if isinstance(said, dict) else ""
