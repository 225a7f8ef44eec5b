"""Where the connection stands, as every view shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from VILAM3SlicerLib.connection.address import BackendAddress
from VILAM3SlicerLib.connection.installer import InstallProgress
from VILAM3SlicerLib.connection.python_finder import FoundPython
from VILAM3SlicerLib.protocol.errors import VilaM3Error
from VILAM3SlicerLib.protocol.installation import InstallPlan
from VILAM3SlicerLib.protocol.messages import BackendStatus

Phase = Literal[
    "absent",  # nothing is installed and no address was given
    "stopped",  # installed, and not started
    "starting",  # its process was started and does not listen yet
    "connecting",
    "loading",  # it answers and loads its model
    "ready",
    "failed",  # see the error
]
SetupPhase = Literal["", "looking", "planned", "installing", "removing"]
"""What is being done about the installation; ``planned`` waits for the person's consent."""


@dataclass(frozen=True)
class ConnectionState:
    """All that a view of the connection shows.

    Attributes:
        error: why the last thing that was tried did not work; kept until something is tried again.
        status: the last handshake of the connected backend.
        consent_question: asked before scans may go to ``address``; empty where none is needed (any more).
        plan: what an installation would do, to be agreed to in phase ``planned``.
        pythons: the interpreters that could run it, the best first.
        is_installed: whether a whole installation is in the folder of the settings.
        is_outdated: whether it is of another version than this module.
        found: what the set-up said of the folder when it was looked at last.
        others: URLs of backends that this person runs in a terminal.
    """

    phase: Phase = "absent"
    setup: SetupPhase = ""
    message: str = ""
    error: VilaM3Error | None = None
    address: BackendAddress | None = None
    is_own: bool = False
    status: BackendStatus | None = None
    consent_question: str = ""
    plan: InstallPlan | None = None
    progress: InstallProgress | None = None
    pythons: tuple[FoundPython, ...] = ()
    is_installed: bool = False
    is_outdated: bool = False
    found: InstallPlan | None = None
    others: tuple[str, ...] = ()

    @property
    def is_remote(self) -> bool:
        """Whether what is sent leaves this machine."""
        return self.address is not None and not self.address.is_loopback

    @property
    def allowed(self) -> frozenset[str]:
        """Which of ``install``, ``agree``, ``cancel``, ``uninstall``, ``start``, ``stop``, ``connect`` make
        sense now."""
        if self.setup in ("looking", "installing"):
            return frozenset({"cancel"})
        if self.setup == "removing":
            return frozenset()
        allowed = {"connect", "install"}
        if self.setup == "planned":
            allowed |= {"agree", "cancel"}
        if self.phase in ("absent", "stopped", "failed") and self.is_installed:
            allowed |= {"start", "uninstall"}
        if self.phase == "starting" or self.address is not None:
            allowed |= {"stop"}
        return frozenset(allowed)


class StateBoard:
    """The state and who is told of its changes."""

    def __init__(self) -> None:
        self.now = ConnectionState()
        self._listeners: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` after each change; returns what ends that."""
        self._listeners.append(listener)

        def end() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return end

    def change(self, **changes: Any) -> None:
        """Take over the changes; tells nobody where nothing is new."""
        before, self.now = self.now, replace(self.now, **changes)
        if self.now != before:
            for listener in tuple(self._listeners):
                listener()
