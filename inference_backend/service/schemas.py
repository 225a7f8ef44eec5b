"""The bodies of requests and responses, as the OpenAPI document describes them.

Request and response of the chat route follow OpenAI's chat-completions convention; the field ``vilam3`` is
ours.
"""

from __future__ import annotations

from dataclasses import make_dataclass
from typing import Annotated, Any, Literal, Self, Union, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from VILAM3SlicerLib.protocol.events import Payload
from VILAM3SlicerLib.protocol.messages import TurnContext


class ErrorInfo(BaseModel):
    """A code for programs, a message fit to show to a person, a hint that says what to do."""

    code: str
    message: str
    hint: str = ""


class ErrorResponse(BaseModel):
    """The body of every response that is an error."""

    error: ErrorInfo


class Health(BaseModel):
    """The service answers; says nothing about the model."""

    status: Literal["ok"] = "ok"


def _encodable(text: str) -> str:
    """JSON can write halves of characters that no tokenizer can read."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("the text is not valid Unicode")
    return text


Unicode = Annotated[str, AfterValidator(_encodable)]


class TextPart(BaseModel):
    """Text of a message."""

    type: Literal["text"]
    text: Unicode


class ImageUrl(BaseModel):
    """Never fetched: only the two forms named are read."""

    url: str = Field(description="A `data:image/png;base64,` or `image/jpeg` URL, or `sha256:<hex>`.")


class ImagePart(BaseModel):
    """An image of a message."""

    type: Literal["image_url"]
    image_url: ImageUrl


class ChatMessage(BaseModel):
    """A message; role ``tool`` is an expert's result as it went to the model, ``name`` the expert."""

    role: Literal["user", "assistant", "tool"]
    content: Unicode | list[Annotated[TextPart | ImagePart, Field(discriminator="type")]]
    name: str | None = None


class ChatRequest(BaseModel):
    """The whole conversation, the question last; fields of the convention that are not here are ignored."""

    messages: list[ChatMessage] = Field(min_length=1)
    model: str | None = Field(None, description="Ignored: one model is served.")
    stream: bool = False
    n: Literal[1] | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float = Field(0.0, ge=0, le=2, allow_inf_nan=False)
    top_p: float = Field(0.9, gt=0, le=1)
    seed: int | None = Field(None, ge=0, lt=2**63)
    vilam3: TurnContext | None = None


class Model(BaseModel):
    """The served model in OpenAI's list."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "vilam3slicer"


class ModelList(BaseModel):
    """OpenAI's list of models; empty while the model loads."""

    object: Literal["list"] = "list"
    data: list[Model]


class ConversionConsent(BaseModel):
    """Whether the person agrees to what ``conversion`` of the list says."""

    agreed: bool = False


class LicenceConsent(BaseModel):
    """The licence texts that a person has read and accepts, and who that is."""

    accepted: list[Annotated[str, Field(pattern="^[0-9a-f]{64}$")]] = Field(
        [], max_length=16, description="SHA-256 of each text, as `/licences` gives it."
    )
    accepted_by: Unicode = Field("", max_length=200, description="The person's name, for the record.")

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        if self.accepted and not self.accepted_by.strip():
            raise ValueError("consent needs the name of the person who gives it")
        return self


class Usage(BaseModel):
    """Tokens of the last reply of the turn."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Delta(BaseModel):
    """The next piece of text."""

    role: Literal["assistant"] = "assistant"
    content: str = ""


class ChunkChoice(BaseModel):
    """The one choice of a chunk."""

    index: Literal[0] = 0
    delta: Delta
    finish_reason: Literal["stop", "length"] | None = None


def _event_model(kind: Any) -> Any:
    """A payload as it is on the wire: flat, with the turn and its number in it."""
    return make_dataclass(
        f"{kind.__name__}Event",
        [("turn_id", str), ("sequence", int)],
        bases=(kind,),
        kw_only=True,
        frozen=True,
        namespace={"__doc__": kind.__doc__, "__module__": __name__},
    )


_kinds = tuple(_event_model(kind) for kind in get_args(Payload))
EventModel: Any = Annotated[Union[_kinds], Field(discriminator="type")]  # noqa: UP007 (built from a tuple)
"""One of our events, for the OpenAPI document."""


class ChatChunk(BaseModel):
    """The data of one server-sent event; the stream ends with the data ``[DONE]``."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
    error: ErrorInfo | None = None
    vilam3: EventModel


class AssistantMessage(BaseModel):
    """The answer."""

    role: Literal["assistant"] = "assistant"
    content: str


class Choice(BaseModel):
    """The one choice of a completion."""

    index: Literal[0] = 0
    message: AssistantMessage
    finish_reason: Literal["stop", "length"]


class Events(BaseModel):
    """Every event of the turn, in order."""

    events: list[EventModel]


class ChatCompletion(BaseModel):
    """The answer of a turn that was not streamed."""

    model_config = ConfigDict(extra="forbid")

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    vilam3: Events
