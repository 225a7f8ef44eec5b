"""A draft report of a conversation, each statement with its source."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from VILAM3SlicerLib.chat.turn import ExpertRun, Turn
from VILAM3SlicerLib.protocol.messages import ModelDescription

RESEARCH_USE = "For research and teaching, not for diagnosis."


@dataclass(frozen=True)
class ScanFacts:
    """What a report says of the scan: nothing of the patient.

    ``spacing`` is in mm and ``size`` in voxels, both along I, J and K.
    """

    modality: str
    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    content_hash: str = ""


def compose_report(
    turns: Iterable[Turn], scan: ScanFacts | None, model: ModelDescription | None, made_on: str
) -> str:
    """The report as Markdown.

    Args:
        made_on: the date as it is to stand in the report.
    """
    finished = [turn for turn in turns if turn.answer is not None or turn.segments]
    runs = [run for turn in finished for run in turn.experts if run.result]
    sections = [
        "# Draft report\n",
        f"> **{RESEARCH_USE}** Every statement below is machine-made unless it says otherwise; "
        "a person has to check it.\n",
        _scan_section(scan, model, made_on),
        _findings_section(runs),
        _conversation_section(finished, model),
        _sources_section(runs, model),
    ]
    return "\n".join(section for section in sections if section)


def sentences(text: str) -> list[str]:
    """The sentences of a text; a point within a number or an abbreviated unit does not end one."""
    return [part.strip() for part in re.split(r"(?<=[.!?])\s+(?=[A-Z\"'(])", text.strip()) if part.strip()]


def _scan_section(scan: ScanFacts | None, model: ModelDescription | None, made_on: str) -> str:
    lines = ["## Scan\n", f"- Report made on {made_on}"]
    if scan is not None:
        size = " × ".join(str(number) for number in scan.size)
        spacing = " × ".join(f"{number:.2f}" for number in scan.spacing)
        lines += [f"- Modality: {scan.modality}", f"- {size} voxels of {spacing} mm"]
        if scan.content_hash:
            lines.append(f"- Content hash: `{scan.content_hash[:16]}…`")
    if model is not None:
        lines.append(f"- Language model: {model_name(model)}")
    return "\n".join(lines) + "\n"


def model_name(model: ModelDescription) -> str:
    """The model's name; a demo model is called one."""
    if model.is_demo and "demo" not in model.name.lower():
        return f"{model.name} (demo model)"
    return model.name


def _findings_section(runs: Sequence[ExpertRun]) -> str:
    sizes = [(segment, run) for run in runs if run.result for segment in run.result.segments]
    chances = [(finding, run) for run in runs if run.result for finding in run.result.findings]
    if not sizes and not chances:
        return "## Findings\n\nNo expert was asked to measure anything.\n"
    lines = ["## Findings\n"]
    if sizes:
        lines += ["| Structure | Volume | Source |", "|---|---:|---|"]
        lines += [
            f"| {segment.name} | {_millilitres(segment.volume_ml)} | {_expert(run)} |"
            for segment, run in sizes
        ]
    lines += [f"- {finding.name}: {finding.probability:.2f} ({_expert(run)})" for finding, run in chances]
    return "\n".join(lines) + "\n"


def _millilitres(volume: float) -> str:
    return f"{volume:,.0f} mL" if volume >= 10 else f"{volume:.1f} mL"


def _conversation_section(turns: Sequence[Turn], model: ModelDescription | None) -> str:
    lines = ["## Questions and answers\n"]
    for turn in turns:
        lines.append(f"**{_one_line(turn.question.text)}** _[person]_\n")
        source = _answer_source(turn, model)
        lines += [f"- {sentence} _[{source}]_" for sentence in sentences(turn.text)]
        if turn.answer is None:
            lines.append("- (The answer was not completed.)")
        lines.append("")
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _answer_source(turn: Turn, model: ModelDescription | None) -> str:
    name = model_name(model) if model is not None else "model"
    experts = [_expert(run) for run in turn.experts if run.result]
    return f"model: {name}" + (f"; from expert: {', '.join(experts)}" if experts else "")


def _expert(run: ExpertRun) -> str:
    return f"{run.call.expert} {run.call.version}"


def _sources_section(runs: Sequence[ExpertRun], model: ModelDescription | None) -> str:
    lines = ["## Sources\n"]
    if model is not None:
        note = " A demo model: it shows how the system works and knows little." if model.is_demo else ""
        lines.append(f"- _model_: {model_name(model)}.{note}")
    for expert in dict.fromkeys(_expert(run) for run in runs):
        lines.append(f"- _expert_: {expert}; volumes are of whole segments.")
    lines.append("- _person_: what was typed.")
    return "\n".join(lines) + "\n"
