"""A report as plain text, Markdown and HTML, each with the research-use notice and the model's name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from VILAM3SlicerLib.chat.report_document import ReportDocument
from VILAM3SlicerLib.chat.words import RESEARCH_USE, is_demo_name

TITLE = "Draft report"
_CHECK = "Statements are machine-made unless they are marked as a person's; a person has to check them."
_DEMO = "It is a demo model: it shows how the system works and knows little."


@dataclass(frozen=True)
class ScanFacts:
    """What a report says of the scan: nothing of the patient.

    ``spacing`` is in mm and ``size`` in voxels, both along I, J and K.
    """

    modality: str
    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    content_hash: str = ""


@dataclass(frozen=True)
class ReportHead:
    """What stands above every report; ``made_on`` is the date as it is to be written.

    ``models`` are those that it rests on (``report_composing.asked_models``), whichever is connected now.
    """

    made_on: str
    scan: ScanFacts | None = None
    models: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """Date, scan and models, a line each."""
        lines = [f"Report made on {self.made_on}"]
        if self.scan is not None:
            size = " × ".join(str(number) for number in self.scan.size)
            spacing = " × ".join(f"{number:.2f}" for number in self.scan.spacing)
            lines.append(f"Scan: {self.scan.modality}, {size} voxels of {spacing} mm")
            if self.scan.content_hash:
                lines.append(f"Content hash of the scan: {self.scan.content_hash[:16]}…")
        return lines + [f"Language model: {name}{_if_demo(name)}" for name in self.models]


def _if_demo(name: str) -> str:
    return f". {_DEMO}" if is_demo_name(name) else ""


def plain_text(report: ReportDocument, head: ReportHead) -> str:
    """As text that any editor or information system takes; a line for each sentence."""
    lines = [TITLE.upper(), RESEARCH_USE, _CHECK, "", *head.lines]
    for title, statements in _sections(report):
        lines += ["", title.upper(), *(f"- {text} [{source}]" for text, source in statements)]
    return "\n".join([*lines, "", RESEARCH_USE]) + "\n"


def markdown(report: ReportDocument, head: ReportHead) -> str:
    """As Markdown."""
    lines = [f"# {TITLE}", "", f"> **{RESEARCH_USE}** {_CHECK}", "", *(f"- {line}" for line in head.lines)]
    for title, statements in _sections(report):
        lines += [
            "",
            f"## {title}",
            "",
            *(f"- {_plain(text)} _[{_plain(source)}]_" for text, source in statements),
        ]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Markdown takes tags for tags; a name may look like one."""
    return text.replace("&", "&amp;").replace("<", "&lt;")


def html(report: ReportDocument, head: ReportHead) -> str:
    """As a page of its own, in the few tags that browsers, Qt's documents and word processors share."""
    notice = f"<p><b>{escape(RESEARCH_USE)}</b> {escape(_CHECK)}</p>"
    parts = [f"<h1>{TITLE}</h1>", notice, f"<p>{'<br>'.join(escape(line) for line in head.lines)}</p>"]
    for title, statements in _sections(report):
        items = "".join(
            f'<li>{escape(text)} <span style="color: #666666">[{escape(source)}]</span></li>'
            for text, source in statements
        )
        parts.append(f"<h2>{title}</h2><ul>{items}</ul>")
    body = "\n".join([*parts, f"<p><b>{escape(RESEARCH_USE)}</b></p>"])
    return (
        f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"><title>{TITLE}</title></head>\n'
        f'<body style="font-family: sans-serif">\n{body}\n</body></html>\n'
    )


def _sections(report: ReportDocument) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Titles with their statements and sources; a section without any says so."""
    for section in report.sections:
        statements = [(one.text, one.source.label) for one in section.sentences]
        if section.name == "findings" and not any(one.source.kind == "expert" for one in section.sentences):
            statements.insert(0, ("No expert measured anything.", "this program"))
        if statements:
            yield section.title, statements
