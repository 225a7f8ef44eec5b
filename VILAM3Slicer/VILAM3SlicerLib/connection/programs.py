"""Programs that run beside Slicer: what starting one needs of the toolkit, and the world it is started in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

OnLine = Callable[[str], None]
OnEnd = Callable[[int | None], None]
"""Told the exit code; None where the program could not be started, or crashed."""


class Program(Protocol):
    """A program that was started."""

    def close_input(self) -> None:
        """Close its standard input, which tells our programs to end in good order."""

    def kill(self) -> None:
        """End it at once."""

    def wait(self, seconds: float) -> bool:
        """Whether it ended within that time. Blocks: for Slicer's own end only."""


class Programs(Protocol):
    """Starts programs. Nothing else here blocks; callbacks come on the user interface's thread."""

    def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        on_output: OnLine,
        on_log: OnLine,
        on_end: OnEnd,
    ) -> Program:
        """Start ``command`` with exactly this environment and an open standard input.

        ``on_output`` takes the lines of its standard output, ``on_log`` those of its standard error;
        ``on_end`` is called once, after all of them and after this has returned.
        """  # fmt: skip


_OF_SLICER = ("PYTHON", "QT_", "LD_LIBRARY_PATH", "DYLD_", "VILAM3_KEY")


def clean_environment(environment: Mapping[str, str], **added: str) -> dict[str, str]:
    """Ours without what would make another Python look into Slicer's libraries, and with ``added``."""
    ours = {name: value for name, value in environment.items() if not name.startswith(_OF_SLICER)}
    return {**ours, **added}


def proxy_environment(proxy: str) -> dict[str, str]:
    """The variables by which pip and the hub's client find a proxy; none where the system's holds."""
    if not proxy:
        return {}
    return dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), proxy)


class Lines:
    """Cuts what a program writes into lines, a piece of bytes at a time."""

    def __init__(self, on_line: OnLine) -> None:
        self._on_line = on_line
        self._rest = b""

    def feed(self, piece: bytes) -> None:
        """Tell the lines that ``piece`` completes."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._tell(line)

    def end(self) -> None:
        """Tell what is left without an end of line."""
        rest, self._rest = self._rest, b""
        if rest:
            self._tell(rest)

    def _tell(self, line: bytes) -> None:
        self._on_line(line.rstrip(b"\r").decode("utf-8", "replace"))
