"""Events as chunks of the chat-completions convention, and as server-sent events.

A client that does not know our field sees the text: each reply of the turn, a blank line between them, and
an error where the turn failed.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from inference_backend.service.turn_log import TurnLog
from VILAM3SlicerLib.protocol.codec import to_json
from VILAM3SlicerLib.protocol.errors import ErrorBody
from VILAM3SlicerLib.protocol.event_stream import DONE
from VILAM3SlicerLib.protocol.events import (
    Answer,
    Event,
    ExpertCalled,
    Failed,
    Heartbeat,
    Payload,
    Stopped,
    Text,
    event_to_json,
)


async def event_stream(log: TurnLog, model: str, after: int, silence: float) -> AsyncIterator[bytes]:
    """The turn as server-sent events; a heartbeat has the number of the last event before it and no id."""
    last = after
    async for event in log.read(after, silence):
        if event is None:
            beat = Event(log.turn_id, last, Heartbeat())
            yield _message(chunk(beat, log.created, model))
        else:
            last = event.sequence
            yield f"id: {last}\n".encode() + _message(chunk(event, log.created, model))
    yield f"data: {DONE}\n\n".encode()


def chunk(event: Event, created: int, model: str) -> dict[str, Any]:
    """One event as a chat-completion chunk."""
    payload = event.payload
    content: dict[str, Any] = {
        "id": completion_id(event.turn_id),
        "object": "chat.completion.chunk",
        "created": created,
        "model": model,
        "choices": [
            {
                "index": 0,
                "delta": {"role": "assistant", "content": _text(payload)},
                "finish_reason": _finish_reason(payload),
            }
        ],
        "vilam3": event_to_json(event),
    }
    if isinstance(payload, Answer):
        content["usage"] = usage(payload)
    if isinstance(payload, Failed):
        content["error"] = to_json(payload.error)
    return content


def completion(answer: Answer, log: TurnLog) -> dict[str, Any]:
    """The whole turn as one chat completion."""
    message = {"role": "assistant", "content": answer.text}
    return {
        "id": completion_id(log.turn_id),
        "object": "chat.completion",
        "created": log.created,
        "model": answer.model,
        "choices": [{"index": 0, "message": message, "finish_reason": answer.finish_reason}],
        "usage": usage(answer),
        "vilam3": {"events": [event_to_json(event) for event in log.events]},
    }


def completion_id(turn_id: str) -> str:
    """The turn's name in OpenAI's convention."""
    return f"chatcmpl-{turn_id}"


def usage(answer: Answer) -> dict[str, int]:
    """OpenAI's token counts."""
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "total_tokens": answer.prompt_tokens + answer.completion_tokens,
    }


def outcome(log: TurnLog) -> Answer | ErrorBody:
    """How an ended turn ended."""
    final = log.events[-1].payload
    if isinstance(final, Answer):
        return final
    if isinstance(final, Failed):
        return final.error
    reason = final.reason if isinstance(final, Stopped) else "The turn was stopped."
    return ErrorBody("cancelled", reason, "Ask again.")


def _text(payload: Payload) -> str:
    if isinstance(payload, Text):
        return payload.delta
    return "\n\n" if isinstance(payload, ExpertCalled) else ""


def _finish_reason(payload: Payload) -> str | None:
    if isinstance(payload, Answer):
        return payload.finish_reason
    return "stop" if isinstance(payload, Stopped) else None


def _message(content: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(content, separators=(',', ':'))}\n\n".encode()
