"""Turns of the conversation as the rich text that Qt shows; no toolkit is needed to write it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote, unquote

from VILAM3SlicerLib.chat.finding_rows import FindingRow
from VILAM3SlicerLib.chat.rows import AnswerSpan, ExpertRow, TurnRow
from VILAM3SlicerLib.protocol.phrases import joined, phrases

_ = phrases(__name__)

SCHEME = "vilam3"
"""Links of ours are ``vilam3:WHAT/VALUE``."""

_STATES = {"running": "…", "done": "✓", "failed": "✗"}


@dataclass(frozen=True)
class Look:
    """Colours of the application's palette, as style sheets take them; ``said`` puts phrases into words."""

    quiet: str
    shade: str
    link: str
    trouble: str
    said: Callable[[str], str] = str


def link(what: str, value: str) -> str:
    """The address of something to be done."""
    return f"{SCHEME}:{what}/{quote(value, safe='')}"


def read_link(address: str) -> tuple[str, str] | None:
    """What ``link`` was given; None for other addresses."""
    scheme, _colon, rest = address.partition(":")
    what, slash, value = rest.partition("/")
    return (what, unquote(value)) if scheme == SCHEME and slash else None


def image_name(turn_id: str) -> str:
    """The name under which the document holds a turn's picture."""
    return link("image", turn_id)


def welcome_html(title: str, hint: str, offers: Iterable[tuple[str, str, str]], look: Look) -> str:
    """What stands in place of a conversation that has not begun.

    Args:
        offers: what can be done: what a link is for, its value and its words.
    """
    links = "".join(
        f'<p style="margin-left:12px">{_anchor(what, value, words, look)}</p>'
        for what, value, words in offers
    )
    return f"<p><b>{_text(title, look)}</b></p>{_quiet(hint, look)}{links}"


def turn_html(row: TurnRow, look: Look) -> str:
    """One turn, without what changes each second: progress has a place of its own."""
    parts = [_question(row, look)]
    parts += [_expert(expert, row.id, look) for expert in row.experts if expert.state != "running"]
    if row.paragraphs:
        parts.append(f"<p>{''.join(_span(span, look) for span in row.paragraphs)}</p>")
    parts += [_quiet(notice, look) for notice in row.notices]
    if row.state == "stopped":
        parts.append(_quiet(row.activity or _("Stopped."), look))
    if row.error is not None:
        again = "" if row.running else " " + _anchor("again", row.id, _("Ask again"), look)
        backend = _anchor("backend", "", _("Backend"), look)
        words = f"{_text(row.error.message, look)}<br>{_text(row.error.hint, look)}"
        parts.append(f'<p style="color:{look.trouble}">{words}{again} · {backend}</p>')
    if not row.running:
        source = joined(" · ", filter(None, (row.source, row.elapsed)))
        behind = _anchor("behind", row.id, _("Behind the scenes"), look)
        parts.append(f'<p style="color:{look.quiet}">{_text(source, look)} · {behind}</p>')
    return "".join(parts)


def _question(row: TurnRow, look: Look) -> str:
    image = ""
    if row.image is not None:
        address, name = link("behind", row.id), image_name(row.id)
        image = f'<td width="72"><a href="{address}"><img src="{name}" height="64" /></a></td>'
    attached = "".join(
        f'<br><span style="color:{look.quiet}">{_text(line, look)}</span>' for line in row.attached
    )
    words = f'<td valign="middle"><b>{_text(row.question, look)}</b>{attached}</td>'
    head = f'<table style="margin-top:10px" width="100%" cellpadding="6" bgcolor="{look.shade}">'
    return f"{head}<tr>{image}{words}</tr></table>"


def _expert(expert: ExpertRow, turn_id: str, look: Look) -> str:
    name = f"{expert.name} {expert.arguments}".strip()
    colour = look.trouble if expert.state == "failed" else look.quiet
    words = f"{_STATES[expert.state]} {_text(name, look)}: {_text(expert.detail, look)}"
    return f'<p style="color:{colour}">{words}</p>' + _findings(expert.findings, turn_id, look)


def _findings(findings: Sequence[FindingRow], turn_id: str, look: Look) -> str:
    """A table of what was rated; those with a heat map lead to it."""
    if not findings:
        return ""
    lines = "".join(
        f'<tr><td>{_finding(one, turn_id, look)}</td><td align="right">{one.probability}</td></tr>'
        for one in findings
    )
    hint = _quiet(_("From 0.50 on the model is told yes. A click shows where, another hides it."), look)
    return f'<table cellpadding="2">{lines}</table>{hint}'


def _finding(finding: FindingRow, turn_id: str, look: Look) -> str:
    name = _anchor("heat", f"{turn_id}/{finding.name}", finding.name, look) if finding.source else ""
    words = name or _text(finding.name, look)
    return f"<b>{words}</b>" if finding.likely else words


def _span(span: AnswerSpan, look: Look) -> str:
    stands_for = f" ({_text(span.stands_for, look)})" if span.stands_for else ""
    if not span.segment:
        return _text(span.text, look) + stands_for
    swatch = f'<span style="color:{span.colour}">■</span>&nbsp;'
    return swatch + _anchor("segment", span.segment, span.text, look) + stands_for


def _anchor(what: str, value: str, text: str, look: Look) -> str:
    return f'<a href="{link(what, value)}" style="color:{look.link}">{_text(text, look)}</a>'


def _quiet(text: str, look: Look) -> str:
    return f'<p style="color:{look.quiet}">{_text(text, look)}</p>'


def _text(text: str, look: Look) -> str:
    """Words of anybody, with their line breaks; nothing in them is markup."""
    return escape(look.said(text)).replace("\n", "<br>")
