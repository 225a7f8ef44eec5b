"""The experts that are installed, ours and those of other packages, found by entry point.

A plug-in that cannot be loaded stays in the list with the reason, so that a person can be told; it never
stops the service.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from importlib.metadata import EntryPoint, entry_points

from inference_backend.conversation.model_cards import ModelCard
from inference_backend.experts.interface import (
    ENTRY_POINT_GROUP,
    Expert,
    ExpertRequest,
    Findings,
    IsCancelled,
    ReportProgress,
    Segmentation,
)
from VILAM3SlicerLib.protocol.errors import ExpertError, NotFound

_log = logging.getLogger(__name__)


class UnavailableExpert(Expert):
    """Is listed with the reason why it cannot run, and never offered."""

    version = ""

    def __init__(self, card: ModelCard, reason: str) -> None:
        self.card = card
        self._reason = reason

    @property
    def unavailable_because(self) -> str:
        return self._reason

    def load(self, device: str) -> None:
        raise ExpertError(self._reason)

    def run(
        self, request: ExpertRequest, report_progress: ReportProgress, is_cancelled: IsCancelled
    ) -> Segmentation | Findings:
        raise ExpertError(self._reason)


class BrokenExpert(UnavailableExpert):
    """Stands for a plug-in that could not be loaded."""

    version = "unknown"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(ModelCard(name, "unknown", "unknown", "could not be loaded", "unknown"), reason)


class ExpertRegistry:
    """Experts by name; of two with the same name the first counts."""

    def __init__(self, experts: Sequence[Expert]) -> None:
        self._experts: dict[str, Expert] = {}
        for expert in experts:
            if self._experts.setdefault(expert.card.name.casefold(), expert) is not expert:
                _log.warning("A second expert is called %s; it is left out.", expert.card.name)

    @property
    def experts(self) -> tuple[Expert, ...]:
        """All experts in the order of registration, available or not."""
        return tuple(self._experts.values())

    def available(self) -> tuple[Expert, ...]:
        """The experts that can run now."""
        return tuple(expert for expert in self.experts if not expert.unavailable_because)

    def find(self, name: str) -> Expert:
        """The expert of that name, in whatever case the model wrote it.

        Raises:
            NotFound: there is none; the message names those that are available.
        """
        expert = self._experts.get(name.strip().casefold())
        if expert is None:
            offered = ", ".join(expert.card.name for expert in self.available()) or "none"
            raise NotFound(f"There is no expert {name}.", f"Available experts: {offered}.")
        return expert


def installed_experts() -> ExpertRegistry:
    """The experts of all installed packages, in the order of their entry points' names."""
    return registry_of(entry_points(group=ENTRY_POINT_GROUP))


def registry_of(points: Iterable[EntryPoint]) -> ExpertRegistry:
    """The experts that these entry points name."""
    return ExpertRegistry([_create(point) for point in sorted(points, key=lambda point: point.name)])


def _create(point: EntryPoint) -> Expert:
    try:
        expert: Expert = point.load()()
        if not isinstance(expert.card, ModelCard):
            raise TypeError("its card is not a ModelCard")
        _ = expert.version, expert.tells_sizes, expert.unavailable_because, expert.load, expert.run
    except Exception as error:  # a plug-in is foreign code: whatever it raises must not stop the service
        _log.warning("The expert plug-in %s cannot be loaded.", point.value, exc_info=True)
        package = point.dist.name if point.dist else point.value
        reason = f"The plug-in {point.name} cannot be loaded: {error or type(error).__name__}. "
        return BrokenExpert(point.name.upper(), f"{reason}Update or remove the package {package}.")
    return expert
