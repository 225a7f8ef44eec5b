"""Programs beside Slicer over ``QProcess``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import qt

from VILAM3SlicerLib.connection.programs import Lines, OnEnd, OnLine

_FAILED_TO_START = 0
_CRASHED = 1


class QtProgram:
    """Implements ``connection.programs.Program``."""

    def __init__(self, on_output: OnLine, on_log: OnLine, on_end: OnEnd) -> None:
        self._process = qt.QProcess()
        self._output = Lines(on_output)
        self._log = Lines(on_log)
        self._on_end = on_end
        self._is_over = False
        self._not_started = qt.QTimer()
        self._not_started.setSingleShot(True)
        self._not_started.connect("timeout()", lambda: self._tell(None))
        self._process.connect("readyReadStandardOutput()", self._read_output)
        self._process.connect("readyReadStandardError()", self._read_log)
        self._process.connect("finished(int,QProcess::ExitStatus)", self._finished)
        self._process.connect("errorOccurred(QProcess::ProcessError)", self._failed)

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start it; the environment is all that it gets."""
        variables = qt.QProcessEnvironment()
        for name, value in environment.items():
            variables.insert(name, value)
        self._process.setProcessEnvironment(variables)
        self._process.start(command[0], list(command[1:]))

    def close_input(self) -> None:
        """Close its standard input."""
        self._process.closeWriteChannel()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def wait(self, seconds: float) -> bool:
        """Whether it ended within that time; blocks."""
        return self._is_over or bool(self._process.waitForFinished(round(1000 * seconds)))

    def _read_output(self) -> None:
        self._output.feed(self._process.readAllStandardOutput().data())

    def _read_log(self) -> None:
        self._log.feed(self._process.readAllStandardError().data())

    def _finished(self, code: int, status: Any) -> None:
        self._read_output()
        self._read_log()
        self._output.end()
        self._log.end()
        self._tell(None if int(status) == _CRASHED else int(code))

    def _failed(self, error: Any) -> None:
        """Qt may say so while ``start`` is still running, which nobody expects."""
        if int(error) == _FAILED_TO_START:
            self._not_started.start(0)

    def _tell(self, code: int | None) -> None:
        if not self._is_over:
            self._is_over = True
            self._on_end(code)


class QtPrograms:
    """Implements ``connection.programs.Programs``; holds the programs until they have ended."""

    def __init__(self) -> None:
        self._running: set[QtProgram] = set()

    def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        on_output: OnLine,
        on_log: OnLine,
        on_end: OnEnd,
    ) -> QtProgram:
        """Start a program; see ``connection.programs.Programs.start``."""

        def end(code: int | None) -> None:
            self._running.discard(program)
            on_end(code)

        program = QtProgram(on_output, on_log, end)
        self._running.add(program)
        program.start(command, environment)
        return program
