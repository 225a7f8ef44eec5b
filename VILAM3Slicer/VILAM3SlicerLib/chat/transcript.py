"""Everything that was said and given to the model, as a JSON value that can be read again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from VILAM3SlicerLib.chat.turn import ExpertRun, Reply, Turn
from VILAM3SlicerLib.chat.words import RESEARCH_USE
from VILAM3SlicerLib.protocol import PROTOCOL_VERSION
from VILAM3SlicerLib.protocol.codec import to_json

FORMAT = "vilam3-transcript"

ImageReference = Callable[[str], str | None]
"""Gives what stands for an image of that SHA-256 in the transcript: a file name or a data URL."""


def compose_transcript(turns: Iterable[Turn], image: ImageReference) -> dict[str, Any]:
    """The conversation with the exact prompts, the images as the model saw them, triggers and results."""
    return {
        "format": FORMAT,
        "version": 2,
        "protocol_version": PROTOCOL_VERSION,
        "notice": RESEARCH_USE,
        "turns": [_turn(turn, image) for turn in turns],
    }


def image_names(turns: Iterable[Turn]) -> list[str]:
    """The SHA-256 of every image that a transcript refers to, each once, in order."""
    names: list[str] = []
    for turn in turns:
        names += [picture.sha256 for picture in turn.question.images]
        names += [seen.seen for reply in turn.replies if reply.prompt for seen in reply.prompt.images]
        results = [run.result for run in turn.experts if run.result]
        names += [result.feedback_image for result in results if result.feedback_image]
        names += [heat.image for result in results for heat in result.heat_maps]
    return list(dict.fromkeys(names))


def _turn(turn: Turn, image: ImageReference) -> dict[str, Any]:
    return {
        "turn_id": turn.turn_id,
        "question": turn.question.text,
        "modality": turn.question.modality,
        "volume": turn.question.volume,
        "sequences": [to_json(one) for one in turn.question.sequences],
        "marks": to_json(turn.question.marks),
        "images": [
            {"sha256": one.sha256, "image": image(one.sha256), "geometry": to_json(one.geometry)}
            for one in turn.question.images
        ],
        "model": to_json(turn.model) if turn.model is not None else None,
        "state": turn.state,
        "replies": [_reply(reply, turn, image) for reply in turn.replies],
        "experts": [_expert(run, image) for run in turn.experts],
        "answer": to_json(turn.answer) if turn.answer else None,
        "error": to_json(turn.error) if turn.error else None,
        "notices": [to_json(notice) for notice in turn.notices],
        "seconds": round(turn.ended - turn.started, 3) if turn.ended is not None else None,
    }


def _reply(reply: Reply, turn: Turn, image: ImageReference) -> dict[str, Any]:
    first = reply.first_text_at
    prompt = reply.prompt
    return {
        "step": reply.step,
        "prompt": prompt.text if prompt else None,
        "prompt_tokens": prompt.tokens if prompt else None,
        "images_as_seen": [
            {"sent": seen.sent, "seen": seen.seen, "image": image(seen.seen)}
            for seen in (prompt.images if prompt else ())
        ],
        "reply": reply.text,
        "seconds_to_first_text": round(first - turn.started, 3) if first is not None else None,
    }


def _expert(run: ExpertRun, image: ImageReference) -> dict[str, Any]:
    overlay = run.result.feedback_image if run.result else None
    heat_maps = run.result.heat_maps if run.result else ()
    return {
        "expert": run.call.expert,
        "version": run.call.version,
        "arguments": run.call.arguments,
        "trigger": run.call.trigger,
        "reply": run.call.reply,
        "result": to_json(run.result) if run.result else None,
        "feedback_image": image(overlay) if overlay else None,
        "heat_maps": {heat.finding: image(heat.image) for heat in heat_maps},
        "error": to_json(run.failure.error) if run.failure else None,
    }
