"""The conversation as the messages of an OpenAI-convention request: the client owns the history."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from VILAM3SlicerLib.chat.images import ImageShelf, data_url
from VILAM3SlicerLib.chat.marks import told
from VILAM3SlicerLib.chat.turn import ExpertRun, Question, Turn
from VILAM3SlicerLib.protocol.codec import to_json
from VILAM3SlicerLib.protocol.messages import MriSequence, TurnContext

Message = dict[str, Any]


def chat_request(past: Iterable[Turn], turn: Turn, session: str, shelf: ImageShelf) -> dict[str, Any]:
    """The body of POST /v1/chat/completions.

    Turns that failed or were stopped are left out: the model is shown no half answers.
    """
    messages = [message for one in past if one.state == "done" for message in turn_messages(one, shelf)]
    context = TurnContext(
        turn_id=turn.turn_id,
        session=session,
        volume=turn.question.volume,
        modality=turn.question.modality,
        views=tuple(image.geometry for image in turn.question.images),
        points=turn.question.marks.points,
        sequences=_sequences(turn.question),
        box=turn.question.marks.box,
        stored_range=turn.question.stored_range,
    )
    return {
        "model": "vila-m3",
        "stream": True,
        "messages": [*messages, question_message(turn.question, shelf)],
        "vilam3": to_json(context),
    }


def turn_messages(turn: Turn, shelf: ImageShelf) -> list[Message]:
    """A finished turn: the question, each trigger reply with its expert's words, the answer."""
    messages = [question_message(turn.question, shelf)]
    for run in turn.experts:
        messages.append({"role": "assistant", "content": run.call.reply})
        messages.append(_expert_message(run, shelf))
    return [*messages, {"role": "assistant", "content": turn.text}]


def question_message(question: Question, shelf: ImageShelf) -> Message:
    """A question as a user message: its images, then its text with what the marks say in words."""
    for image in question.images:
        shelf.put(image.sha256, image.png)
    images = [part for image in question.images for part in _image_parts(image.sha256, shelf)]
    text = "\n".join(part for part in (question.text, told(question.marks)) if part)
    return {"role": "user", "content": [*images, {"type": "text", "text": text}]}


def _sequences(question: Question) -> tuple[MriSequence, ...]:
    """By role alone: a volume's name may be that of a patient, and stays here."""
    return tuple(MriSequence(one.volume, "", one.role) for one in question.sequences)


def _expert_message(run: ExpertRun, shelf: ImageShelf) -> Message:
    text = run.result.feedback_text if run.result else run.failure.feedback_text if run.failure else ""
    overlay = run.result.feedback_image if run.result else None
    parts: list[Message] = [{"type": "text", "text": text}, *_image_parts(overlay, shelf)]
    return {"role": "tool", "name": run.call.expert, "tool_call_id": run.call.call_id, "content": parts}


def _image_parts(sha256: str | None, shelf: ImageShelf) -> list[Message]:
    """By name where the backend has the image, whole where it has not; none where nobody has it."""
    if sha256 is None:
        return []
    png = shelf.get(sha256)
    if sha256 in shelf.at_backend:
        return [_part(f"sha256:{sha256}")]
    if png is None:
        return []
    return [_part(data_url(png))]


def _part(url: str) -> Message:
    return {"type": "image_url", "image_url": {"url": url}}
