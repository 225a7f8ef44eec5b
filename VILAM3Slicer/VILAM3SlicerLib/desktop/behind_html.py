"""What is behind a turn as the rich text that Qt shows; no toolkit is needed to write it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from VILAM3SlicerLib.chat.behind import BehindExpert, BehindRow, ReplyRow


def behind_html(row: BehindRow) -> tuple[str, Mapping[str, bytes]]:
    """The text, and the PNGs of its pictures by the names that the text has for them."""
    pictures: dict[str, bytes] = {}

    def picture(png: bytes, caption: str) -> str:
        name = f"picture{len(pictures)}.png"
        pictures[name] = png
        return f'<p><img src="{name}" width="224" /><br>{escape(caption)}</p>'

    parts = [f"<h3>{_text(row.question)}</h3>", _times(row), "<h4>Image sent</h4>"]
    parts += [picture(sent.png, sent.caption) for sent in row.sent]
    for reply in row.replies:
        parts += _reply(reply, [picture(png, "as the model saw it") for png in reply.seen])
    for expert in row.experts:
        overlay = picture(expert.overlay, "as the model was shown it") if expert.overlay else ""
        parts += _expert(expert, overlay)
        parts += [picture(heat.png, _where(heat.finding)) for heat in expert.heat_maps if heat.png]
    return "".join(parts), pictures


def _where(finding: str) -> str:
    return f"{finding}: where the signs are, for the person only"


def _times(row: BehindRow) -> str:
    lines = "".join(
        f'<tr><td>{_text(time.what)}</td><td align="right">{_text(time.value)}</td></tr>'
        for time in row.times
    )
    return f'<table cellpadding="2">{lines}</table>'


def _reply(reply: ReplyRow, seen: Iterable[str]) -> list[str]:
    return [
        f"<h4>Prompt of reply {reply.step} ({reply.tokens} tokens)</h4>",
        _exactly(reply.prompt),
        *seen,
        f"<h4>Reply {reply.step}</h4>",
        _exactly(reply.reply),
    ]


def _expert(expert: BehindExpert, overlay: str) -> list[str]:
    legend = "".join(
        f'<span style="color:{entry.colour}">■</span>&nbsp;{_text(entry.text)} ' for entry in expert.legend
    )
    return [
        f"<h4>Expert {_text(expert.name)}, called by {_text(expert.trigger)}</h4>",
        overlay,
        f"<p>{legend}</p>" if legend else "",
        _exactly(expert.feedback),
        "<h4>Raw result</h4>",
        _exactly(expert.raw),
    ]


def _exactly(text: str) -> str:
    """Text to the letter, with its line breaks and spaces, in letters of one width."""
    if not text:
        return ""
    return f'<pre style="white-space:pre-wrap">{escape(text)}</pre>'


def _text(text: str) -> str:
    return escape(text).replace("\n", "<br>")
