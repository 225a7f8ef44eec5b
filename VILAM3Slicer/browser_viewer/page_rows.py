"""The conversation and the scan as plain values for the page's templates: pure functions."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from browser_viewer.viewer_scene import SegmentRow
from VILAM3SlicerLib.chat.images import ImageShelf
from VILAM3SlicerLib.chat.links import linked
from VILAM3SlicerLib.chat.report import model_name
from VILAM3SlicerLib.chat.turn import ExpertRun, QuestionImage, Turn
from VILAM3SlicerLib.protocol.codec import to_json
from VILAM3SlicerLib.protocol.messages import BackendStatus, ViewGeometry

Row = dict[str, Any]
MODES = {"as_seen": "as seen", "published": "whole slice"}


def data_url(png: bytes | None) -> str:
    """A PNG as the page takes it; empty where there is none."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii") if png else ""


def image_caption(geometry: ViewGeometry) -> str:
    """Plane, extent and window of an image, in words."""
    window = f"W {geometry.window:.0f} L {geometry.level:.0f}"
    return f"{geometry.plane}, {MODES[geometry.mode]}, {geometry.columns} × {geometry.rows} px, {window}"


def turn_row(turn: Turn, segments: Sequence[SegmentRow], now: float) -> Row:
    """A turn as the transcript shows it."""
    (image, *_) = turn.question.images or (None,)
    return {
        "id": turn.turn_id,
        "question": turn.question.text,
        "image": data_url(image.png) if image else "",
        "caption": image_caption(image.geometry) if image else "",
        "state": turn.state,
        "running": turn.is_running,
        "activity": turn.activity,
        "elapsed": f"{turn.seconds(now):.1f} s",
        "paragraphs": answer_spans(turn, segments),
        "experts": [_expert_row(run, now) for run in turn.experts],
        "notices": [notice.message for notice in turn.notices],
        "error": to_json(turn.error) if turn.error else None,
        "source": _source(turn),
    }


def answer_spans(turn: Turn, segments: Sequence[SegmentRow]) -> list[Row]:
    """The answer so far, split where it names a segment or a colour of the model's overlay."""
    colours = {row.name: css_colour(row.rgb) for row in segments}
    spans = linked(turn.text, [segment.name for segment in turn.segments], turn.legend)
    return [
        {
            "text": span.text,
            "segment": span.segment if span.segment in colours else None,
            "colour": colours.get(span.segment or "", ""),
            "stands_for": span.segment if span.names_colour else None,
        }
        for span in spans
    ]


def css_colour(rgb: tuple[int, int, int]) -> str:
    """A colour as a style sheet takes it."""
    return f"rgb({rgb[0]}, {rgb[1]}, {rgb[2]})"


def _expert_row(run: ExpertRun, now: float) -> Row:
    if run.failure:
        state, detail = "failed", run.failure.error.message
    elif run.result:
        found = len([segment for segment in run.result.segments if segment.voxel_count])
        state, detail = "done", f"{found} of {len(run.result.segments)} structures found"
        detail += f" in {run.result.seconds:.1f} s"
    else:
        state, detail = "running", run.message or "starts"
    return {
        "name": run.call.expert,
        "arguments": run.call.arguments,
        "version": run.call.version,
        "state": state,
        "detail": detail,
        "percent": round(100 * run.fraction),
        "elapsed": f"{now - run.started:.0f} s",
    }


def _source(turn: Turn) -> str:
    """What a finished answer rests on."""
    if turn.answer is None:
        return ""
    experts = [f"{run.call.expert} {run.call.version}" for run in turn.experts if run.result]
    rests = f", with the result of {' and '.join(experts)}" if experts else ""
    return f"Written by {turn.answer.model}{rests}"


def segment_rows(segments: Sequence[SegmentRow]) -> list[Row]:
    """The segments as the list shows them."""
    return [
        {
            "id": row.segment_id,
            "name": row.name,
            "colour": css_colour(row.rgb),
            "size": f"{row.volume_ml:,.0f} mL" if row.volume_ml >= 10 else f"{row.volume_ml:.1f} mL",
            "visible": row.visible,
            "source": row.source,
        }
        for row in segments
    ]


def backend_row(status: BackendStatus | None, trouble: str = "") -> Row:
    """What answers: the model's name, whether it is a demo, and what is wrong if something is."""
    model = status.model if status else None
    return {
        "model": model_name(model) if model else "",
        "demo": bool(model and model.is_demo),
        "ready": bool(status and status.readiness == "ready" and not trouble),
        "trouble": trouble,
        "loading": bool(status and status.readiness == "loading"),
        "device": f"{model.device}, {model.dtype}" if model else "",
    }


def behind_row(turn: Turn, shelf: ImageShelf) -> Row:
    """Everything that the model was given and gave in a turn."""
    return {
        "id": turn.turn_id,
        "question": turn.question.text,
        "sent": [_sent(image) for image in turn.question.images],
        "replies": [
            {
                "step": reply.step + 1,
                "prompt": reply.prompt.text if reply.prompt else "",
                "tokens": reply.prompt.tokens if reply.prompt else 0,
                "seen": [data_url(shelf.get(image.seen)) for image in _seen(reply)],
                "reply": reply.text,
                "first_text": _seconds(reply.first_text_at, turn.started),
            }
            for reply in turn.replies
        ],
        "experts": [_behind_expert(run, shelf) for run in turn.experts],
        "times": _times(turn),
    }


def _seen(reply: Any) -> Sequence[Any]:
    images: Sequence[Any] = reply.prompt.images if reply.prompt else ()
    return images


def _sent(image: QuestionImage) -> Row:
    return {"url": data_url(image.png), "caption": image_caption(image.geometry)}


def _behind_expert(run: ExpertRun, shelf: ImageShelf) -> Row:
    result: Mapping[str, Any] = to_json(run.result) if run.result else {}
    overlay = run.result.feedback_image if run.result else None
    return {
        "name": f"{run.call.expert} {run.call.version}",
        "trigger": run.call.trigger,
        "feedback": run.result.feedback_text if run.result else "",
        "overlay": data_url(shelf.get(overlay)) if overlay else "",
        "legend": [
            {
                "colour": f"rgb({', '.join(str(round(255 * part)) for part in entry.rgb)})",
                "text": entry.segment,
            }
            for entry in (run.result.legend if run.result else ())
        ],
        "raw": json.dumps(result, indent=2, ensure_ascii=False),
    }


def _times(turn: Turn) -> list[Row]:
    rows = [("Question to end", _seconds(turn.ended, turn.started))]
    rows += [
        (f"First text of reply {reply.step + 1}", _seconds(reply.first_text_at, turn.started))
        for reply in turn.replies
    ]
    rows += [
        (f"{run.call.expert} computed", f"{run.result.seconds:.1f} s") for run in turn.experts if run.result
    ]
    if turn.answer is not None:
        answer = turn.answer
        rows.append(("Tokens", f"{answer.prompt_tokens} in, {answer.completion_tokens} out"))
        rows.append(("Model", answer.model))
    return [{"what": what, "value": value} for what, value in rows if value]


def _seconds(moment: float | None, start: float) -> str:
    return f"{moment - start:.1f} s" if moment is not None else ""
