"""What is behind a turn as the rich text that Qt shows; no toolkit is needed to write it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from html import escape

from VILAM3SlicerLib.chat.behind import BehindExpert, BehindRow, ReplyRow
from VILAM3SlicerLib.protocol.phrases import phrases

_ = phrases(__name__)
Said = Callable[[str], str]
"""Puts phrases into words."""


def behind_html(row: BehindRow, said: Said = str) -> tuple[str, Mapping[str, bytes]]:
    """The text, and the PNGs of its pictures by the names that the text has for them."""
    pictures: dict[str, bytes] = {}

    def picture(png: bytes, caption: str) -> str:
        name = f"picture{len(pictures)}.png"
        pictures[name] = png
        return f'<p><img src="{name}" width="224" /><br>{_text(said(caption))}</p>'

    parts = [f"<h3>{_text(row.question)}</h3>", _times(row, said), _title(_("Image sent"), said)]
    parts += [picture(sent.png, sent.caption) for sent in row.sent]
    for reply in row.replies:
        parts += _reply(reply, [picture(png, _("as the model saw it")) for png in reply.seen], said)
    for expert in row.experts:
        overlay = picture(expert.overlay, _("as the model was shown it")) if expert.overlay else ""
        parts += _expert(expert, overlay, said)
        parts += [picture(heat.png, _where(heat.finding)) for heat in expert.heat_maps if heat.png]
    return "".join(parts), pictures


def _where(finding: str) -> str:
    return _("{finding}: where the signs are, for the person only").format(finding=finding)


def _title(words: str, said: Said) -> str:
    return f"<h4>{_text(said(words))}</h4>"


def _times(row: BehindRow, said: Said) -> str:
    lines = "".join(
        f'<tr><td>{_text(said(time.what))}</td><td align="right">{_text(said(time.value))}</td></tr>'
        for time in row.times
    )
    return f'<table cellpadding="2">{lines}</table>'


def _reply(reply: ReplyRow, seen: Iterable[str], said: Said) -> list[str]:
    prompt = _("Prompt of reply {number} ({count} tokens)").format(number=reply.step, count=reply.tokens)
    return [
        _title(prompt, said),
        _exactly(reply.prompt),
        *seen,
        _title(_("Reply {number}").format(number=reply.step), said),
        _exactly(reply.reply),
    ]


def _expert(expert: BehindExpert, overlay: str, said: Said) -> list[str]:
    legend = "".join(
        f'<span style="color:{entry.colour}">■</span>&nbsp;{_text(entry.text)} ' for entry in expert.legend
    )
    called = _("Expert {name}, called by {words}").format(name=expert.name, words=expert.trigger)
    return [
        _title(called, said),
        overlay,
        f"<p>{legend}</p>" if legend else "",
        _exactly(expert.feedback),
        _title(_("Raw result"), said),
        _exactly(expert.raw),
    ]


def _exactly(text: str) -> str:
    """Text to the letter, with its line breaks and spaces, in letters of one width."""
    if not text:
        return ""
    return f'<pre style="white-space:pre-wrap">{escape(text)}</pre>'


def _text(text: str) -> str:
    return escape(text).replace("\n", "<br>")
