"""An expert's findings as a list shows them."""

from __future__ import annotations

from dataclasses import dataclass

from VILAM3SlicerLib.chat.turn import Turn
from VILAM3SlicerLib.protocol.events import ExpertResult

LIKELY = 0.5
"""From this probability on the model is told "yes": the networks' own operating point."""


@dataclass(frozen=True)
class FindingRow:
    """A finding; ``percent`` is 0 to 100, ``probability`` the same in words.

    ``source`` names the network whose heat map can be shown, empty where there is none.
    """

    name: str
    probability: str
    percent: int
    likely: bool
    source: str


def turn_findings(turn: Turn) -> tuple[FindingRow, ...]:
    """Those of a whole turn, expert by expert."""
    return tuple(row for run in turn.experts if run.result for row in finding_rows(run.result))


def finding_rows(result: ExpertResult) -> tuple[FindingRow, ...]:
    """The most probable first."""
    sources = {heat.finding: heat.source for heat in result.heat_maps}
    ordered = sorted(result.findings, key=lambda finding: -finding.probability)
    return tuple(
        FindingRow(
            name=finding.name,
            probability=f"{finding.probability:.2f}",
            percent=round(100 * finding.probability),
            likely=finding.probability >= LIKELY,
            source=sources.get(finding.name, ""),
        )
        for finding in ordered
    )
