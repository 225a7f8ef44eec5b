"""Installing, updating and removing the backend of this machine, with the person's consent in between."""

from __future__ import annotations

from collections.abc import Callable

from VILAM3SlicerLib.connection.installer import Installer, InstallProgress, read_installation
from VILAM3SlicerLib.connection.python_finder import WANTED, WHERE_TO_GET, FoundPython, PythonFinder
from VILAM3SlicerLib.connection.settings import KeptSettings
from VILAM3SlicerLib.connection.state import ConnectionState, StateBoard
from VILAM3SlicerLib.protocol.errors import VilaM3Error
from VILAM3SlicerLib.protocol.installation import InstallPlan
from VILAM3SlicerLib.protocol.phrases import joined, phrases

_ = phrases(__name__)


class SetupDesk:
    """Writes what it does on the board: phases ``looking``, ``planned``, ``installing``, ``removing``.

    ``on_installed`` is called when a whole installation is there; ``on_log`` takes the set-up's lines.
    """

    def __init__(
        self, board: StateBoard, settings: KeptSettings, finder: PythonFinder, installer: Installer | None
    ) -> None:
        """``installer`` is None where the backend's source is not packaged with the module."""
        self.on_installed: Callable[[], None] = lambda: None
        self.on_log: Callable[[str], None] = lambda _line: None
        self._board = board
        self._settings = settings
        self._finder = finder
        self._installer = installer
        self._wanted = False

    def look(self) -> None:
        """See what is installed, and whether it is of this version; changes nothing."""
        installed = read_installation(self._settings.now.install_folder)
        self._board.change(is_installed=installed is not None, is_outdated=False, found=None)
        if installed is not None and self._installer is not None:
            self._installer.plan(
                installed.base_python,
                installed.folder,
                lambda plan: self._board.change(is_outdated=plan.state == "outdated", found=plan),
                lambda _error: None,
            )

    def prepare(self) -> None:
        """Find a Python and make the plan that the person is to agree to."""
        if self._installer is None:
            self._fail(
                VilaM3Error(
                    _("The backend's source is not here."), _("Install the extension again."), "no_source"
                )
            )
            return
        self._wanted = True
        self._board.change(setup="looking", message=_("Looking for a Python"), error=None, plan=None)
        named = self._settings.now.python
        if named:
            self._finder.probe(named, self._plan_with_named)
        else:
            self._finder.find(self._plan_with_found)

    def agree(self) -> None:
        """The person agrees to the plan: install."""
        plan, python = self._board.now.plan, self._chosen
        if plan is None or python is None or self._installer is None:
            return
        self._board.change(
            setup="installing", message=_("Installing"), error=None, progress=InstallProgress()
        )
        self._installer.install(
            python.path,
            self._settings.now.install_folder,
            self._settings.now.proxy,
            on_progress=lambda progress: self._board.change(progress=progress),
            on_log=self.on_log,
            on_end=self._installed,
        )

    def cancel(self) -> None:
        """Drop the plan, or stop the installation; what is done so far stays for the next time."""
        self._wanted = False
        if self._installer is not None:
            self._installer.cancel()
        if self._board.now.setup != "installing":
            self._board.change(setup="", message="", plan=None)

    def remove(self, keep_weights: bool) -> None:
        """Take away exactly what was installed."""
        installed = read_installation(self._settings.now.install_folder)
        if installed is None or self._installer is None:
            return
        self._board.change(setup="removing", message=_("Removing the backend"), error=None)
        self._installer.uninstall(installed.base_python, installed.folder, keep_weights, self._removed)

    def close(self) -> None:
        """Slicer ends."""
        if self._installer is not None:
            self._installer.close()

    @property
    def _chosen(self) -> FoundPython | None:
        return self._board.now.pythons[0] if self._board.now.pythons else None

    def _plan_with_named(self, python: FoundPython) -> None:
        if python.problem:
            self._fail(VilaM3Error(python.problem, WHERE_TO_GET, "python_unusable"))
        else:
            self._plan_with_found((python,))

    def _plan_with_found(self, pythons: tuple[FoundPython, ...]) -> None:
        if not self._wanted or self._installer is None:
            return
        self._board.change(pythons=pythons)
        if not pythons:
            self._fail(
                VilaM3Error(
                    _("There is no {WANTED} on this machine.").format(WANTED=WANTED),
                    WHERE_TO_GET,
                    "python_missing",
                )
            )
            return
        self._board.change(message=_("Finding out what is to be done"))
        folder = self._settings.now.install_folder
        self._installer.plan(pythons[0].path, folder, self._planned, self._fail)

    def _planned(self, plan: InstallPlan) -> None:
        if self._wanted:
            self._board.change(setup="planned", message="", plan=plan)

    def _installed(self, error: VilaM3Error | None) -> None:
        if error is not None:
            self._fail(error)
            return
        self._board.change(
            setup="", message="", plan=None, progress=None, is_installed=True, is_outdated=False
        )
        self.look()
        self.on_installed()

    def _removed(self, error: VilaM3Error | None) -> None:
        installed = read_installation(self._settings.now.install_folder)
        phase = (
            "absent" if self._board.now.phase == "stopped" and installed is None else self._board.now.phase
        )
        self._board.change(setup="", message="", error=error, phase=phase, is_installed=installed is not None)

    def _fail(self, error: VilaM3Error) -> None:
        self._wanted = False
        self._board.change(setup="", message="", error=error, plan=None, progress=None)


def plan_text(plan: InstallPlan) -> str:
    """The plan as a person reads it before agreeing."""
    lines = [
        _("Folder: {folder}").format(folder=plan.folder),
        _("Python: {python}").format(python=plan.python),
        _("Steps: {steps}").format(steps=", ".join(plan.steps) or _("nothing is left to do")),
        _("To fetch: up to {size}").format(size=_gigabytes(plan.download_bytes)),
        _("On the disk: up to {size} ({free} are free)").format(
            size=_gigabytes(plan.disk_bytes), free=_gigabytes(plan.free_bytes)
        ),
        _("Licences:"),
        *(f"  {what}: {licence}" for what, licence in plan.licences),
    ]
    return joined("\n", lines)


def removal_text(state: ConnectionState) -> str:
    """What removing the backend takes away, as far as it is known."""
    found = state.found
    if found is None:
        return _("This removes the program, its packages and, unless they are kept, all downloaded models.")
    return _("This removes {size} in {folder}. Of that, {models} are models that were downloaded.").format(
        size=_gigabytes(found.installed_bytes),
        folder=found.folder,
        models=_gigabytes(found.weights_bytes),
    )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
