"""The connection's state in words for the panel."""

from __future__ import annotations

from html import escape

from slicer.i18n import tr as _

from VILAM3SlicerLib.connection.installer import InstallProgress
from VILAM3SlicerLib.connection.report import Report, summary
from VILAM3SlicerLib.connection.state import ConnectionState
from VILAM3SlicerLib.desktop.translation import said
from VILAM3SlicerLib.protocol.errors import VilaM3Error


def state_text(state: ConnectionState) -> str:
    """One line of rich text: what there is, and where."""
    words = {
        "absent": _("No backend yet. Install one on this machine, or connect to one that runs already."),
        "stopped": _("The backend is installed and not started."),
        "starting": _("The backend starts."),
        "connecting": _("Connecting."),
        "loading": _("The backend loads its model."),
        "ready": _("The backend is ready."),
        "failed": _("There is no working backend."),
    }
    text = f"<b>{escape(words[state.phase])}</b>"
    if state.phase == "ready" and state.status is not None:
        text += f"<br>{escape(said(summary(state.status)))}"
    elif state.message:
        text += f"<br>{escape(said(state.message))}"
    if state.address is not None:
        text += f"<br>{escape(_where(state))}"
    if state.is_outdated:
        text += "<br>" + escape(_("It is of another version than this module: update it."))
    return text


def _where(state: ConnectionState) -> str:
    assert state.address is not None
    if state.is_own:
        return str(_("Started by this Slicer; it ends with it. Scans stay on this machine."))
    if state.is_remote:
        return str(_("On another machine: {url}").format(url=state.address.url))
    return str(_("On this machine: {url}. Scans stay here.").format(url=state.address.url))


def install_button_text(state: ConnectionState) -> str:
    """What the button does now."""
    if state.is_outdated:
        return str(_("Update..."))
    return str(_("Install again...") if state.is_installed else _("Install..."))


def error_text(error: VilaM3Error) -> str:
    """What is wrong and what to do, as rich text."""
    first, *more = said(error.message).splitlines() or [""]
    lines = [escape(line) for line in (*more, said(error.hint)) if line]
    return "<br>".join((f"<b>{escape(first)}</b>", *lines))


def report_text(report: Report) -> str:
    """What the Test button found."""
    return "<br>".join(escape(said(line)) for line in (report.message, report.hint) if line)


def progress_text(progress: InstallProgress) -> str:
    """The step that runs, for how long, and what it is at."""
    if not progress.total:
        return str(_("Beginning."))
    head = _("Step {number} of {total}: {title}").format(
        number=progress.number, total=progress.total, title=progress.title
    )
    minutes, seconds = divmod(int(progress.seconds), 60)
    return f"{head} ({minutes}:{seconds:02d})\n{progress.detail}".rstrip()
