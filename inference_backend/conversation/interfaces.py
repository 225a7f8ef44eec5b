"""What the conversation needs of a language model and of experts; the runtime implements both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from inference_backend.conversation.model_cards import ModelCard
from VILAM3SlicerLib.protocol.events import Finding, LegendEntry, SegmentInfo
from VILAM3SlicerLib.protocol.messages import (
    BoxRegion,
    Matrix,
    ModelDescription,
    MriSequence,
    PointPrompt,
    StoredRange,
    ViewGeometry,
)

Role = Literal["user", "assistant", "expert"]


@dataclass(frozen=True)
class Message:
    """One message of the M3 conversation. Each ``<image>`` in ``text`` stands for one of ``images`` (PNG)."""

    role: Role
    text: str
    images: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen; temperature 0 takes the most likely one."""

    max_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 0.9
    seed: int | None = None


@dataclass(frozen=True)
class PreparedPrompt:
    """The exact prompt: text, length in tokens with its images, the images as the model sees them (PNG)."""

    text: str
    tokens: int
    seen_images: tuple[bytes, ...]


@dataclass(frozen=True)
class ReplyEnd:
    """The last thing that ``reply`` yields; ``repetition`` where the reply went round in circles."""

    finish_reason: Literal["stop", "length", "repetition"]
    prompt_tokens: int
    completion_tokens: int


class LanguageModel(Protocol):
    """VILA-M3, wherever it runs. Cancelling the task that iterates ``reply`` ends the generation."""

    @property
    def description(self) -> ModelDescription:
        """Raises ModelError while no model is loaded."""

    async def prepare(self, messages: Sequence[Message]) -> PreparedPrompt:
        """The prompt that ``reply`` would use, without generating."""

    def reply(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str | ReplyEnd]:
        """The reply, piece by piece, then a ReplyEnd.

        Raises:
            ModelError: the model failed or its process died; it is being restarted.
        """


@dataclass(frozen=True)
class View:
    """An image of the newest question with its geometry: where overlays for the model are drawn."""

    image: bytes
    geometry: ViewGeometry


@dataclass(frozen=True)
class ExpertCall:
    """A call of an expert: the text in the trigger's parentheses, the volume's hash, the images shown.

    ``points``, ``sequences``, ``modality``, ``stored_range`` and ``box`` are as they came with the question.
    """

    call_id: str
    expert: str
    arguments: str
    volume: str | None
    views: tuple[View, ...] = ()
    points: tuple[PointPrompt, ...] = ()
    sequences: tuple[MriSequence, ...] = ()
    modality: str = "Unknown"
    stored_range: StoredRange | None = None
    box: BoxRegion | None = None


@dataclass(frozen=True)
class ExpertStep:
    """Progress of an expert, ``fraction`` 0 to 1."""

    fraction: float
    message: str


@dataclass(frozen=True)
class ExpertNote:
    """Something of an expert's work that the person should know."""

    message: str


@dataclass(frozen=True)
class HeatPicture:
    """A heat map as PNG, see ``protocol.events.HeatMap``."""

    finding: str
    image: bytes
    columns: int
    rows: int
    pixel_to_ras: Matrix
    source: str


@dataclass(frozen=True)
class ExpertOutcome:
    """What an expert returned. ``feedback_text`` and ``feedback_image`` (PNG overlay) are for the model."""

    version: str
    seconds: float
    feedback_text: str
    feedback_image: bytes | None = None
    result_id: str | None = None
    segments: tuple[SegmentInfo, ...] = ()
    legend: tuple[LegendEntry, ...] = ()
    findings: tuple[Finding, ...] = ()
    heat_maps: tuple[HeatPicture, ...] = ()


class ExpertPool(Protocol):
    """The experts, wherever they run. Cancelling the task that iterates ``run`` ends the expert's work."""

    def offered(self) -> Sequence[ModelCard]:
        """The cards of the experts that can run now."""

    def version(self, expert: str) -> str:
        """The version of an offered expert."""

    def run(self, call: ExpertCall) -> AsyncIterator[ExpertStep | ExpertNote | ExpertOutcome]:
        """Progress and notes, then one outcome.

        Raises:
            VilaM3Error: the expert refused or failed, or its process died; the message says why.
        """
