"""Which finding's heat map lies over the scan."""

from __future__ import annotations

from dataclasses import dataclass

from VILAM3SlicerLib.chat.presenter import Presenter
from VILAM3SlicerLib.protocol.errors import SceneError
from VILAM3SlicerLib.protocol.phrases import phrases
from VILAM3SlicerLib.viewer.scan_scene import ScanScene

_ = phrases(__name__)


@dataclass(frozen=True)
class Shown:
    """The heat map in the views: of which turn, of which finding, by which network. Empty where none is."""

    turn_id: str = ""
    finding: str = ""
    source: str = ""


class ShownFinding:
    """Shows one heat map at a time; choosing it again takes it away."""

    def __init__(self, presenter: Presenter, scan: ScanScene) -> None:
        self._presenter = presenter
        self._scan = scan
        self._shown = Shown()

    @property
    def shown(self) -> Shown:
        """What is shown now: nothing any more where its turn was taken back or another scan was opened."""
        return self._shown if self._scan.heat.shown is not None else Shown()

    def toggle(self, turn_id: str, finding: str) -> None:
        """Show the heat map of a finding over the scan, or take it away.

        Raises:
            SceneError: there is none, its picture was never fetched, or its scan is gone.
        """
        now = self.shown
        if (now.turn_id, now.finding) == (turn_id, finding):
            self.hide()
            return
        turn = self._presenter.turn(turn_id)
        heat = turn.heat_map(finding) if turn is not None else None
        png = self._presenter.shelf.get(heat.image) if heat is not None else None
        if heat is None or png is None or self._scan.node is None:
            raise SceneError(
                _("There is no heat map of {finding}.").format(finding=finding), _("Ask the question again.")
            )
        self._scan.heat.show(self._scan.node, heat, png, turn_id)
        self._shown = Shown(turn_id, finding, heat.source)

    def hide(self) -> None:
        """Take the heat map away."""
        self._scan.heat.hide()
        self._shown = Shown()
