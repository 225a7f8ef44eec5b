"""The draft of a report out of a conversation: what experts measured, what the model said, what was asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from VILAM3SlicerLib.chat.report_document import PERSON, ReportDocument, ReportSection, Sentence, Source
from VILAM3SlicerLib.chat.turn import ExpertRun, Turn
from VILAM3SlicerLib.chat.words import millilitres, sentences
from VILAM3SlicerLib.protocol.events import Finding, SegmentInfo

MANY = 12
"""From so many results of one expert on, they are told in one sentence."""


def compose(turns: Iterable[Turn]) -> ReportDocument:
    """Questions; as findings the experts' results and what the model said; its last answer as impression.

    Turns without an answer count with what their experts found. Each sentence has one source.
    """
    finished = _finished(turns)
    answers = [turn for turn in finished if turn.answer is not None]
    findings: list[Sentence] = []
    for turn in finished:
        for run in turn.experts:
            findings += _expert_sentences(turn, run)
        if turn.answer is not None and turn is not answers[-1]:
            findings += _answer(turn)
    impression = _answer(answers[-1]) if answers else []
    questions = [_question(turn) for turn in finished]
    return ReportDocument(
        (
            ReportSection("question", tuple(questions)),
            ReportSection("findings", tuple(findings)),
            ReportSection("impression", tuple(impression)),
        )
    )


def asked_models(turns: Iterable[Turn]) -> tuple[str, ...]:
    """The models that answered, or called experts, in what ``compose`` makes a report of; each once."""
    return tuple(dict.fromkeys(turn.model_name for turn in _finished(turns) if turn.model_name))


def _finished(turns: Iterable[Turn]) -> list[Turn]:
    return [turn for turn in turns if not turn.is_running and (turn.answer or turn.segments)]


def _question(turn: Turn) -> Sentence:
    return Sentence(" ".join(turn.question.text.split()), PERSON, f"{turn.turn_id}/question")


def _answer(turn: Turn) -> list[Sentence]:
    return [
        Sentence(text, Source("model", turn.model_name), f"{turn.turn_id}/answer/{number}")
        for number, text in enumerate(sentences(turn.text))
    ]


def _expert_sentences(turn: Turn, run: ExpertRun) -> Iterator[Sentence]:
    if run.result is None:
        return
    source = Source("expert", f"{run.call.expert} {run.call.version}")
    key = f"{turn.turn_id}/{run.call.call_id}"
    told = [(one.name, _size(one)) for one in run.result.segments]
    told += [(one.name, _chance(one)) for one in run.result.findings]
    if len(told) >= MANY:
        yield Sentence(_capital("; ".join(f"{name}: {what}" for name, what in told)) + ".", source, key)
        return
    for name, what in told:
        yield Sentence(_capital(f"{name}: {what}."), source, f"{key}/{name}")


def _size(segment: SegmentInfo) -> str:
    return millilitres(segment.volume_ml) if segment.voxel_count else "not found"


def _chance(finding: Finding) -> str:
    return f"probability {finding.probability:.2f}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
