"""Errors of the set-up, in the project's one tree, each with the exit code of the command that met it."""

from __future__ import annotations

from VILAM3SlicerLib.protocol.errors import VilaM3Error


class SetupError(VilaM3Error):
    """The set-up cannot go on; the hint says what to do."""

    code = "setup_failed"
    exit_code = 5


class AlreadyRunning(SetupError):
    """Another set-up works in the same folder."""

    code = "already_running"
    exit_code = 4


class CommandFailed(SetupError):
    """A program that the set-up started ended with an error.

    Attributes:
        tail: the last lines it printed.
    """

    code = "command_failed"

    def __init__(self, message: str, hint: str = "", code: str | None = None, tail: str = "") -> None:
        super().__init__(message, hint, code)
        self.tail = tail
