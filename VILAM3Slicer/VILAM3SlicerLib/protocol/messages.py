"""What a front end sends with a question, and what it learns of the backend.

These values ride in the field ``vilam3`` of an OpenAI-convention request; the conversation itself stands
in ``messages``, whole, each time: the client owns the history.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ViewMode = Literal["as_seen", "published"]
"""``as_seen``: plane, field of view and window on the screen. ``published``: a whole axial slice in the
window that the released checkpoints were trained with."""

PromptLayout = Literal["training", "published", "lines"]
"""Where cards, images and line breaks stand in a prompt. ``training``: as in the training texts of the
released checkpoints. ``published``: as their demo serves them, cards with each question and no assistant's
header for ``vicuna_v1``. ``lines``: each image on a line of its own, as our demo model was trained."""

IDENTITY = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)

Matrix = tuple[
    float, float, float, float, float, float, float, float,
    float, float, float, float, float, float, float, float,
]  # fmt: skip
"""A 4x4 matrix, row by row."""

StoredRange = tuple[float, float]
"""The lowest and the highest value that an image's file could have held, in the volume's units; the higher a
value, the brighter (a MONOCHROME1 image is inverted by whoever reads it)."""


@dataclass(frozen=True)
class ViewGeometry:
    """Where an image that the model sees lies in the patient.

    ``pixel_to_ras`` maps the centre of a pixel (column, row from the top, 0, 1) to RAS in mm, in the
    volume's own frame (before any parent transform). ``window`` and ``level`` are in the volume's units
    (HU for CT).
    """

    mode: ViewMode
    plane: str
    columns: int
    rows: int
    pixel_to_ras: Matrix
    window: float
    level: float
    volume: str | None = None


@dataclass(frozen=True)
class PointPrompt:
    """A point that the person placed for the question: on a structure, or (not positive) beside it.

    ``ras`` is in mm, in the volume's own frame (before any parent transform).
    """

    ras: tuple[float, float, float]
    is_positive: bool = True


@dataclass(frozen=True)
class BoxRegion:
    """A box that the person drew to ask about what lies in it; the question's images show no more.

    ``box_to_ras`` maps the cube from -0.5 to 0.5 along each axis to RAS in mm, in the volume's own frame
    (before any parent transform): its columns are the box's edges, then its middle.
    """

    box_to_ras: Matrix


MriRole = Literal["T1c", "T1", "T2", "FLAIR", ""]
"""What an MRI sequence is; empty where the person did not say so: then its name decides."""


@dataclass(frozen=True)
class MriSequence:
    """One volume of an MRI study, by its hash. ``name`` is its name or DICOM series description."""

    volume: str
    name: str
    role: MriRole = ""


@dataclass(frozen=True)
class TurnContext:
    """What the backend needs of a question beyond its text and images.

    ``turn_id`` is chosen by the client (a UUID) and names the turn for cancelling and reading again.
    ``views`` belong to the images of the newest user message, in their order. ``sequences`` are the volumes
    of an MRI study, ``volume`` among them. ``points`` and ``box`` were placed for this question.
    ``stored_range`` is told for radiographs whose file says it.
    """

    turn_id: str
    session: str
    volume: str | None = None
    modality: str = "Unknown"
    views: tuple[ViewGeometry, ...] = ()
    points: tuple[PointPrompt, ...] = ()
    sequences: tuple[MriSequence, ...] = ()
    box: BoxRegion | None = None
    stored_range: StoredRange | None = None


@dataclass(frozen=True)
class ModelDescription:
    """The language model as a person and a transcript name it. ``image_size`` is in pixels, square.

    ``chosen_because`` says why this model in this precision: what it needs and what was free.
    """

    name: str
    template: str
    tokens_per_image: int
    image_size: int
    context_length: int
    is_demo: bool
    device: str
    dtype: str
    chosen_because: str = ""
    prompt_layout: PromptLayout = "training"


@dataclass(frozen=True)
class ExpertDescription:
    """An expert as the settings page lists it; ``unavailable_because`` is empty where it can run."""

    name: str
    modality: str
    task: str
    overview: str
    version: str
    arguments: tuple[str, ...] = ()
    unavailable_because: str = ""


@dataclass(frozen=True)
class BackendStatus:
    """The handshake: what answers here and whether it is ready."""

    protocol_version: int
    readiness: Literal["loading", "ready", "failed"]
    detail: str = ""
    model: ModelDescription | None = None
    experts: tuple[ExpertDescription, ...] = ()
    max_volume_bytes: int = 0
    max_prompt_characters: int = 0
