"""The chat route as OpenAI's own client library uses it, and the messages that it refuses."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from PIL import Image
from pydantic import TypeAdapter

from inference_backend.service.schemas import ChatChunk, ChatCompletion
from Testing.inference_backend.service.running import KEY, RunningService, error_of
from VILAM3SlicerLib.protocol.content_hash import content_hash
from VILAM3SlicerLib.protocol.event_stream import DONE, EventStreamDecoder
from VILAM3SlicerLib.protocol.events import Prompt


@pytest.fixture
def client(service: RunningService) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key=KEY, max_retries=0) as opened:
        yield opened


def picture(kind: str = "PNG", size: tuple[int, int] = (12, 9), colour: int = 90) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", size, colour).save(buffer, kind)
    return buffer.getvalue()


def data_url(data: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def with_images(text: str, *urls: str) -> list[dict[str, Any]]:
    images = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [{"role": "user", "content": [*images, {"type": "text", "text": text}]}]


def test_openai_client_lists_the_model_and_gets_an_answer(client: openai.OpenAI) -> None:
    (model,) = client.models.list().data
    answer = client.chat.completions.create(model=model.id, messages=[{"role": "user", "content": "Hello"}])
    assert answer.choices[0].message.content == "Hello there."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 13


def test_openai_client_streams_the_text_and_ignores_our_field(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="any", messages=[{"role": "user", "content": "Segment the lungs."}], stream=True
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "<CT_TISSUE(lungs)>\n\nThe lungs are shown."
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    assert len({chunk.id for chunk in chunks}) == 1


def test_openai_client_gets_errors_as_its_own_kinds(client: openai.OpenAI, service: RunningService) -> None:
    question: Any = [{"role": "user", "content": "explode"}]
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="any", messages=question)
    with pytest.raises(openai.APIError, match="failed unexpectedly"):
        list(client.chat.completions.create(model="any", messages=question, stream=True))
    wrong = openai.OpenAI(base_url=f"{service.url}/v1", api_key="wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        wrong.models.list()


def test_bodies_are_what_the_openapi_document_says(service: RunningService) -> None:
    body = service.ask("Segment the lungs.")
    decoder, adapter = EventStreamDecoder(), TypeAdapter(ChatChunk)
    with service.stream(body) as response:
        messages = [data for piece in response.iter_bytes() for data in decoder.feed(piece)]
    assert messages.pop() == DONE
    for message in messages:
        assert adapter.validate_json(message).vilam3.turn_id == body["vilam3"]["turn_id"]
    whole = service.http.post("/v1/chat/completions", json={**service.ask("Hello"), "stream": False})
    ChatCompletion.model_validate_json(whole.content)
    document = service.http.get("/openapi.json").json()
    references = set(_references(document))
    assert "#/components/schemas/ChatChunk" in references
    for reference in references:
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert {"4XX", "5XX"} <= set(operation["responses"])
            assert operation["description"], path


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == "$ref" and isinstance(value, str))
        yield from (found for value in node.values() for found in _references(value))
    elif isinstance(node, list):
        yield from (found for value in node for found in _references(value))


def test_images_reach_the_model_and_can_be_named_afterwards(service: RunningService) -> None:
    png = picture()
    body = {**service.ask("What is this?"), "messages": with_images("What is this?", data_url(png))}
    prompt = next(event.payload for event in service.events(body) if isinstance(event.payload, Prompt))
    assert [image.sent for image in prompt.images] == [content_hash(png)]
    assert service.model.asked[-1][-1].images == (png,)
    assert service.http.get(f"/v1/images/{content_hash(png)}").content == png
    named = with_images("And now?", f"sha256:{content_hash(png)}")
    service.events({**service.ask(""), "messages": named})
    assert service.model.asked[-1][-1].images == (png,)


def test_a_jpeg_becomes_a_png(service: RunningService) -> None:
    messages = with_images("What is this?", data_url(picture("JPEG"), "jpeg"))
    service.events({**service.ask(""), "messages": messages})
    (image,) = service.model.asked[-1][-1].images
    assert Image.open(io.BytesIO(image)).format == "PNG"


def test_experts_results_of_earlier_turns_go_to_the_model(service: RunningService) -> None:
    result = [
        {"type": "text", "text": "The results are <image>. "},
        {"type": "image_url", "image_url": {"url": data_url(picture())}},
    ]
    messages = [
        {"role": "user", "content": "Segment"},
        {"role": "assistant", "content": "<CT_TISSUE(lungs)>"},
        {"role": "tool", "name": "CT_TISSUE", "content": result, "tool_call_id": "x"},
        {"role": "assistant", "content": "Shown."},
        {"role": "user", "content": "How large?"},
    ]
    service.events({**service.ask(""), "messages": messages})
    asked = service.model.asked[-1]
    assert [message.role for message in asked] == ["user", "assistant", "expert", "assistant", "user"]
    assert asked[2].text == "The results are <image>\n."  # as in training
    assert asked[2].images == (picture(),)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:1/secret.png", (422, "invalid_request")),
        ("file:///etc/passwd", (422, "invalid_request")),
        ("/etc/passwd", (422, "invalid_request")),
        ("data:image/svg+xml;base64,AAAA", (422, "invalid_request")),
        ("data:image/png;base64,%%%", (422, "invalid_request")),
        (data_url(b"no picture"), (422, "invalid_request")),
        (data_url(picture()[:40]), (422, "invalid_request")),
        (data_url(picture("GIF")), (422, "invalid_request")),
        (data_url(picture(size=(5000, 5000))), (413, "too_large")),
        ("data:image/png;base64," + "A" * 25_000_000, (413, "too_large")),
        ("sha256:" + "0" * 64, (404, "image_unknown")),
        ("sha256:../../key", (422, "invalid_request")),
    ],
)
def test_other_images_are_refused(service: RunningService, url: str, expected: tuple[int, str]) -> None:
    body = {**service.ask(""), "messages": with_images("What is this?", url)}
    assert error_of(service.http.post("/v1/chat/completions", json=body)) == expected


VIEW = {
    "mode": "as_seen", "plane": "axial", "columns": 12, "rows": 9, "window": 1.0, "level": 1.0,
    "pixel_to_ras": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1],
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"messages": []}, (422, "invalid_request")),
        ({"messages": [{"role": "user", "content": " \n"}]}, (422, "no_question")),
        ({"messages": [{"role": "assistant", "content": "Hi"}]}, (422, "no_question")),
        ({"messages": [{"role": "user", "content": "x" * 50_000}]}, (413, "too_large")),
        ({"messages": [{"role": "user", "content": "x"}] * 501}, (413, "too_large")),
        ({"messages": [{"role": "user", "content": "x" * 15_000}] * 40}, (413, "too_large")),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, (422, "invalid_request")),
        ({"temperature": -1}, (422, "invalid_request")),
        ({"n": 2}, (422, "invalid_request")),
        ({"max_tokens": 0}, (422, "invalid_request")),
        ({"vilam3": {"session": "s"}}, (422, "invalid_request")),
        ({"vilam3": {"turn_id": "../x", "session": "s"}}, (422, "invalid_request")),
        ({"vilam3": {"turn_id": "x", "session": ""}}, (422, "invalid_request")),
        ({"vilam3": {"turn_id": "x", "session": "s", "views": [VIEW]}}, (422, "invalid_request")),
        ({"vilam3": {"turn_id": "x", "session": "s", "views": [{"mode": "x"}]}}, (422, "invalid_request")),
        ({"vilam3": {"turn_id": "x", "session": "s", "stored_range": [255, 0]}}, (422, "invalid_request")),
        ({"vilam3": {"turn_id": "x", "session": "s", "stored_range": [0]}}, (422, "invalid_request")),
        (
            {"vilam3": {"turn_id": "x", "session": "s", "points": [{"ras": [0, "NaN", 0]}]}},
            (422, "invalid_request"),
        ),
        (
            {"vilam3": {"turn_id": "x", "session": "s", "box": {"box_to_ras": ["Infinity"] * 16}}},
            (422, "invalid_request"),
        ),
        (
            {"vilam3": {"turn_id": "x", "session": "s", "box": {"box_to_ras": [1.0] * 15}}},
            (422, "invalid_request"),
        ),
    ],
)
def test_a_question_that_is_not_well_formed_is_refused(
    service: RunningService, change: dict[str, Any], expected: tuple[int, str]
) -> None:
    content = json.dumps({**service.ask("Hello"), **change})
    response = service.http.post(
        "/v1/chat/completions", content=content, headers={"Content-Type": "application/json"}
    )
    assert error_of(response) == expected


def test_a_long_question_is_refused_with_its_length_and_the_limit(service: RunningService) -> None:
    response = service.http.post("/v1/chat/completions", json=service.ask("x" * 50_000))
    assert "50,000" in response.json()["error"]["message"]
    assert "20,000" in response.json()["error"]["message"]
