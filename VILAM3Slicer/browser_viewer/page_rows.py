"""The rows of the chat as the page's templates take them: plain values, pictures as data URLs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from VILAM3SlicerLib.chat.images import data_url
from VILAM3SlicerLib.chat.rows import SegmentRow, css_colour, headings
from VILAM3SlicerLib.chat.words import model_name
from VILAM3SlicerLib.protocol.messages import BackendStatus

Row = dict[str, Any]


def page_row(row: Any) -> Row:
    """A row of ``chat.rows`` or ``chat.behind`` for the templates; a picture that is missing is ``None``."""
    plain: Row = _plain(asdict(row))
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return data_url(value)
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value


def segment_rows(segments: Sequence[SegmentRow]) -> list[Row]:
    """The segments as the list shows them."""
    return [
        {
            "id": row.segment_id,
            "name": row.name,
            "colour": css_colour(row.rgb),
            "size": row.size,
            "visible": row.visible,
            "found": row.is_found,
            "opacity": round(100 * row.opacity),
            "source": row.source,
            "heading": heading,
        }
        for row, heading in zip(segments, headings(segments), strict=True)
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
