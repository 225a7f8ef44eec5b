"""Running ``setup_backend.py install`` and ``uninstall`` beside Slicer, and reading what they tell."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from VILAM3SlicerLib.chat.interfaces import OnError
from VILAM3SlicerLib.connection.programs import Program, Programs, clean_environment, proxy_environment
from VILAM3SlicerLib.protocol.codec import from_json
from VILAM3SlicerLib.protocol.errors import VilaM3Error
from VILAM3SlicerLib.protocol.installation import InstallPlan
from VILAM3SlicerLib.protocol.phrases import phrases
from VILAM3SlicerLib.protocol.places import INSTALLED_FILE

_ = phrases(__name__)

BACKEND_SOURCE = "VILAM3SlicerBackend"
"""Where the extension keeps the backend's source, beside the module's file."""

KEPT_LINES = 12


@dataclass(frozen=True)
class InstallProgress:
    """The step that runs: the ``number``-th of ``total``; ``fraction`` is None where nobody can tell."""

    number: int = 0
    total: int = 0
    title: str = ""
    detail: str = ""
    seconds: float = 0.0
    fraction: float | None = None

    @property
    def share(self) -> float:
        """How much of all steps is done, 0 to 1."""
        return (self.number - 1 + (self.fraction or 0.0)) / self.total if self.total else 0.0


@dataclass(frozen=True)
class InstalledBackend:
    """The record of an installation that is whole."""

    folder: Path
    python: str
    base_python: str


def backend_source(module_folder: Path) -> Path | None:
    """Where the backend's source lies: packaged with the module, or the checkout around it."""
    places = (module_folder / BACKEND_SOURCE, module_folder.parent)
    return next((place for place in places if (place / "setup_backend.py").is_file()), None)


def read_installation(folder: Path) -> InstalledBackend | None:
    """The backend installed in a folder; None where there is none, or not all of it."""
    try:
        record = json.loads((folder / INSTALLED_FILE).read_text(encoding="utf-8"))
        found = InstalledBackend(folder, str(record["python"]), str(record["base_python"]))
        is_whole = record["state"] == "complete" and Path(found.python).exists()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if is_whole else None


class Installer:
    """Plans, makes and takes away an installation; one at a time."""

    def __init__(self, programs: Programs, environment: Mapping[str, str], source: Path) -> None:
        """``source`` is the folder of ``setup_backend.py``."""
        self._programs = programs
        self._environment = environment
        self._source = source
        self._running: Program | None = None

    def plan(
        self, python: str, folder: Path, on_plan: Callable[[InstallPlan], None], on_error: OnError
    ) -> None:
        """Find out what an installation into ``folder`` would do; changes nothing."""
        said: list[dict[str, Any]] = []

        def end(error: VilaM3Error | None) -> None:
            if error is None and said:
                on_plan(from_json(InstallPlan, said[-1]))
            else:
                on_error(error or VilaM3Error(_("The set-up told no plan."), _("See the log.")))

        self._run([python, "install", "--plan", *_folder(folder)], said.append, end)

    def install(
        self,
        python: str,
        folder: Path,
        proxy: str,
        *,
        on_progress: Callable[[InstallProgress], None],
        on_log: Callable[[str], None],
        on_end: Callable[[VilaM3Error | None], None],
    ) -> None:
        """Do it, once the person has agreed to the plan. A run that was cut goes on where it was."""
        progress = InstallProgress()

        def take(line: dict[str, Any]) -> None:
            nonlocal progress
            if line.get("kind") == "step":
                progress = _progress(progress, line)
                on_progress(progress)
            elif "text" in line:
                on_log(str(line["text"]))

        command = ["install", "--yes", "--watch-stdin", *_folder(folder)]
        self._run([python, *command], take, on_end, on_log, proxy)

    def uninstall(
        self, python: str, folder: Path, keep_weights: bool, on_end: Callable[[VilaM3Error | None], None]
    ) -> None:
        """Take away exactly what was installed."""
        command = ["uninstall", *_folder(folder), *(["--keep-weights"] if keep_weights else [])]
        self._run([python, *command], lambda _: None, on_end)

    def cancel(self) -> None:
        """Stop what runs; what is done so far stays, and the next run goes on from there."""
        if self._running is not None:
            self._running.close_input()

    def close(self) -> None:
        """Slicer ends: the set-up sees its input closed and ends too."""
        self.cancel()

    def _run(
        self,
        command: list[str],
        on_line: Callable[[dict[str, Any]], None],
        on_end: Callable[[VilaM3Error | None], None],
        on_log: Callable[[str], None] = lambda _line: None,
        proxy: str = "",
    ) -> None:
        """Run the set-up; ``command`` is the interpreter and the arguments of ``setup_backend.py``."""
        python, *arguments = command
        said = _Said(on_line, on_log)

        def end(code: int | None) -> None:
            if self._running is started:
                self._running = None
            on_end(None if code == 0 else _failure(code, said, python))

        program = str(self._source / "setup_backend.py")
        environment = clean_environment(self._environment, **proxy_environment(proxy))
        started = self._programs.start(
            [python, "-I", "-X", "utf8", program, *arguments, "--json"],
            environment,
            on_output=said.read,
            on_log=said.log,
            on_end=end,
        )
        self._running = started


class _Said:
    """What the set-up has said: passed on; its failure and the last lines of its log are kept."""

    def __init__(self, on_line: Callable[[dict[str, Any]], None], on_log: Callable[[str], None]) -> None:
        self.failure: VilaM3Error | None = None
        self.last: deque[str] = deque(maxlen=KEPT_LINES)
        self._on_line = on_line
        self._on_log = on_log

    def read(self, text: str) -> None:
        """A line of its output."""
        line = _json_line(text)
        if line is not None and line.get("kind") == "failed":
            self.failure = VilaM3Error(str(line["message"]), str(line["hint"]), str(line["code"]))
        elif line is not None:
            self._on_line(line)

    def log(self, text: str) -> None:
        """A line of its log."""
        self.last.append(text)
        self._on_log(text)


def _folder(folder: Path) -> list[str]:
    return ["--folder", str(folder)]


def _progress(before: InstallProgress, line: dict[str, Any]) -> InstallProgress:
    return replace(
        before,
        number=int(line["number"]),
        total=int(line["total"]),
        title=str(line["title"]),
        detail=str(line["detail"]),
        seconds=float(line["seconds"]),
        fraction=1.0 if line["state"] == "done" else line["fraction"],
    )


def _json_line(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


INTERRUPTED = 130


def _failure(code: int | None, said: _Said, python: str) -> VilaM3Error:
    if said.failure is not None:
        return said.failure
    if code is None:
        return VilaM3Error(
            _("{python} could not be started.").format(python=python),
            _("Name another Python."),
            "python_unusable",
        )
    if code == INTERRUPTED:
        return VilaM3Error(
            _("The installation was stopped."), _("Install again to go on from here."), "cancelled"
        )
    tail = "\n".join(said.last)
    return VilaM3Error(
        f"The set-up ended with code {code}.\n{tail}".rstrip(), _("See the log."), "setup_failed"
    )
