"""The connection of a front end to its backend: which one, whether it answers, and what can be done now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from VILAM3SlicerLib.chat.interfaces import Host
from VILAM3SlicerLib.connection.address import read_address
from VILAM3SlicerLib.connection.consent import RecordedConsents, consent_question
from VILAM3SlicerLib.connection.diagnosis import readiness_error
from VILAM3SlicerLib.connection.installer import read_installation
from VILAM3SlicerLib.connection.local_backend import LocalBackend, ServeChoice, running_backends
from VILAM3SlicerLib.connection.readiness import ReadinessWatch
from VILAM3SlicerLib.connection.report import Report, report_error, report_status
from VILAM3SlicerLib.connection.settings import Access, KeptSettings, MakeHttp
from VILAM3SlicerLib.connection.setup_desk import SetupDesk
from VILAM3SlicerLib.connection.state import ConnectionState, StateBoard
from VILAM3SlicerLib.connection.switch import SwitchedTransport
from VILAM3SlicerLib.connection.transport import BackendTransport
from VILAM3SlicerLib.connection.usual_backend import kept_access
from VILAM3SlicerLib.protocol.errors import ConnectionLost, InvalidRequest, VilaM3Error
from VILAM3SlicerLib.protocol.messages import BackendStatus
from VILAM3SlicerLib.protocol.phrases import phrases

_ = phrases(__name__)

LOOK_EVERY = 5.0
"""Seconds between two looks at a backend that is connected."""
END_PATIENCE = 15.0
"""Seconds that our own backend gets to end when it is stopped."""


class Connection:
    """One for each front end. Views read ``state``, listen for its changes and call the methods."""

    def __init__(
        self,
        *,
        board: StateBoard,
        settings: KeptSettings,
        desk: SetupDesk,
        local: LocalBackend,
        consents: RecordedConsents,
        make_http: MakeHttp,
        host: Host,
        store: Path,
    ) -> None:
        """``store`` is where running services of this person are found."""
        self.settings = settings
        self.desk = desk
        self.local = local
        self.transport = SwitchedTransport(self._why_none)
        self.on_log: Callable[[str], None] = lambda _line: None
        self._board = board
        self._consents = consents
        self._make_http = make_http
        self._host = host
        self._store = store
        self._attempt = 0
        self._starts_again = False
        self._readiness: ReadinessWatch | None = None
        self._access: Access | None = None
        desk.on_installed = self.start
        desk.on_log = self._log

    @property
    def state(self) -> ConnectionState:
        return self._board.now

    @property
    def access(self) -> Access | None:
        """How the backend is reached that is connected, or being connected; None for none."""
        return self._access

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` after each change of the state; returns what ends that."""
        return self._board.listen(listener)

    def open(self) -> None:
        """See what there is, and connect to what was used last."""
        self.desk.look()
        self._board.change(others=tuple(url for url, _ in running_backends(self._store)))
        now = self.settings.now
        if now.mode == "remote" and self._has_key():
            self.connect()
        elif now.mode == "local" and now.starts_with_module == "yes" and self.state.is_installed:
            self.start()
        else:
            self._rest()

    def close(self) -> None:
        """The front end ends: so does the backend that it started."""
        self._attempt += 1
        self.desk.close()
        self.transport.switch(None)
        self.local.close()

    def start(self) -> None:
        """Start the installed backend."""
        installed = read_installation(self.settings.now.install_folder)
        if installed is None:
            return
        self.settings.change(mode="local")
        if self.local.is_running:
            self._starts_again = self.local.is_stopping
            return
        self._let_go()
        self._board.change(phase="starting", message=_("The backend starts"), error=None, is_own=True)
        now = self.settings.now
        self.local.start(
            installed,
            ServeChoice(now.model, now.device, now.proxy),
            on_ready=lambda url, key: self._reach(Access(read_address(url), key), is_own=True),
            on_log=self._log,
            on_end=self._own_ended,
        )

    def connect(self) -> None:
        """Connect to the address of the settings."""
        now = self.settings.now
        self.settings.change(mode="remote")
        self._stop_own()
        try:
            access = kept_access(now, self._store)
        except VilaM3Error as error:
            self._let_go()
            self._board.change(phase="failed", message="", error=error)
            return
        self._reach(access, is_own=False)

    def stop(self) -> None:
        """Stop our own backend, or let go of another one."""
        self._stop_own()
        self._let_go()
        self._rest()

    def test(self, on_report: Callable[[Report], None], **changes: Any) -> None:
        """Try the settings with ``changes``, without keeping them or touching the present connection."""
        wanted = replace(self.settings.now, **changes)
        try:
            http = self._make_http(kept_access(wanted, self._store))
        except VilaM3Error as error:
            on_report(report_error(error))
            return

        def tell(report: Report) -> None:
            http.close()
            on_report(report)

        BackendTransport(http).status(
            lambda status: tell(report_status(status)), lambda error: tell(report_error(error))
        )

    def agree_to_send(self) -> None:
        """The person agrees that scans go to the connected address; this is recorded."""
        address = self.state.address
        if address is not None:
            self._consents.give(address)
            self._board.change(consent_question="")

    def take_back_consent(self, url: str) -> None:
        """From now on nothing of a scan goes to an address until the person agrees anew."""
        address = read_address(url)
        self._consents.take_back(address)
        if address == self.state.address:
            self._board.change(consent_question=consent_question(address))

    def _has_key(self) -> bool:
        """Whether the address that was used last can be used again without asking the person for its key."""
        try:
            return bool(kept_access(self.settings.now, self._store).key)
        except InvalidRequest:
            return False

    def _reach(self, access: Access, is_own: bool) -> None:
        self._let_go()
        attempt = self._attempt
        try:
            transport = BackendTransport(self._make_http(access))
        except VilaM3Error as error:
            self._board.change(phase="failed", message="", error=error)
            return
        self.transport.switch(transport)
        self._access = access
        asked = "" if self._consents.is_given(access.address) else consent_question(access.address)
        self._board.change(
            phase="connecting",
            message=_("Connecting to {url}").format(url=access.address.url),
            error=None,
            address=access.address,
            is_own=is_own,
            consent_question=asked,
        )
        self._readiness = ReadinessWatch(
            transport,
            self._host,
            on_wait=lambda status: self._loading(attempt, status),
            on_ready=lambda status: self._meet(attempt, status),
            on_error=lambda error: self._failed(attempt, error),
        )

    def _let_go(self) -> None:
        """Nothing that is still under way counts any more."""
        self._attempt += 1
        if self._readiness is not None:
            self._readiness.stop()
        self.transport.switch(None)
        self._access = None
        self._board.change(status=None, address=None, consent_question="", is_own=False)

    def _rest(self) -> None:
        installed = read_installation(self.settings.now.install_folder) is not None
        phase = "stopped" if installed else "absent"
        self._board.change(phase=phase, message="", is_installed=installed)

    def _loading(self, attempt: int, status: BackendStatus) -> None:
        if attempt == self._attempt:
            detail = status.detail or _("The model is loading")
            self._board.change(phase="loading", message=detail, status=status)

    def _meet(self, attempt: int, status: BackendStatus) -> None:
        """It answers; look again after a while, for as long as it is the one that is used."""
        if attempt != self._attempt:
            return
        trouble = readiness_error(status)
        if trouble is None:
            self._board.change(phase="ready", message="", error=None, status=status)
        elif trouble.code == "loading":
            self._loading(attempt, status)
        else:
            self._board.change(phase="failed", message="", error=trouble, status=status)
        self._host.later(LOOK_EVERY, lambda: self._look(attempt))

    def _failed(self, attempt: int, error: VilaM3Error) -> None:
        if attempt != self._attempt:
            return
        self._board.change(phase="failed", message="", error=error)
        self._host.later(LOOK_EVERY, lambda: self._look(attempt))

    def _look(self, attempt: int) -> None:
        transport = self.transport.now
        if attempt == self._attempt and transport is not None:
            transport.status(
                lambda status: self._meet(attempt, status), lambda error: self._failed(attempt, error)
            )

    def _stop_own(self) -> None:
        self._starts_again = False
        if self.local.is_running:
            self.local.stop()
            self._host.later(END_PATIENCE, self.local.kill_if_it_did_not_stop)

    def _own_ended(self, error: VilaM3Error | None) -> None:
        if error is None:
            if self._starts_again:
                self._starts_again = False
                self.start()
            return
        self._log(error.message)
        self._let_go()
        self._board.change(phase="failed", message="", error=error)

    def _why_none(self) -> ConnectionLost:
        error = self.state.error
        said = f" {error.message}" if error else ""
        return ConnectionLost(
            _("No backend is connected.{said}").format(said=said),
            _("Start one, or connect to one, in the panel Backend."),
        )

    def _log(self, line: str) -> None:
        self.on_log(line)
