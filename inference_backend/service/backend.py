"""What the service needs of the model and the experts beyond the conversation; the runtime implements it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Literal, Protocol

from inference_backend.conversation.interfaces import ExpertPool, LanguageModel
from inference_backend.conversation.loop import Turn
from VILAM3SlicerLib.protocol.events import Payload
from VILAM3SlicerLib.protocol.messages import ExpertDescription
from VILAM3SlicerLib.protocol.weights import LicenceText, Removed, WeightsJob, WeightsList

Readiness = Literal["loading", "ready", "failed"]

Converse = Callable[[Turn], AsyncIterator[Payload]]
"""Runs a turn, see ``conversation.loop.Conversation.run``."""


class Managed(Protocol):
    """Something that loads in the background and may fail."""

    @property
    def readiness(self) -> Readiness: ...

    @property
    def detail(self) -> str:
        """Why it failed, empty while it has not."""

    async def start(self) -> None:
        """Begin to load; returns at once."""

    async def stop(self) -> None:
        """Give up the device."""

    async def until_ready(self) -> None:
        """Wait while it loads. Raises VilaM3Error where it failed for good."""


class ManagedWeights(Protocol):
    """The weights that are here or can be fetched. Its methods may block; see ``weights.manager``."""

    def list(self) -> WeightsList: ...

    def licences(self, name: str) -> Sequence[LicenceText]: ...

    def download(self, name: str, accepted: Sequence[str], accepted_by: str) -> WeightsJob: ...

    def convert(self, name: str, agreed: bool) -> WeightsJob: ...

    def verify(self, name: str) -> WeightsJob: ...

    def job(self, name: str) -> WeightsJob: ...

    def cancel(self, name: str) -> WeightsJob: ...

    def remove(self, name: str) -> Removed: ...

    def close(self) -> None: ...


class ManagedModel(LanguageModel, Managed, Protocol):
    """The language model with its life."""


class ManagedExperts(ExpertPool, Managed, Protocol):
    """The experts with their life."""

    def descriptions(self) -> Sequence[ExpertDescription]:
        """All experts, those that cannot run with the reason."""
