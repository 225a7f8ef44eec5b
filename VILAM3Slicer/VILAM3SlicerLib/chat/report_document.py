"""A report as sentences with their sources, which a person may edit: values and pure functions.

A sentence that a person touched is theirs and stays where they left it; all others follow the conversation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from VILAM3SlicerLib.protocol.phrases import phrases

_ = phrases(__name__)

SectionName = Literal["question", "findings", "impression"]
TITLES: dict[SectionName, str] = {
    "question": _("Questions"),
    "findings": _("Findings"),
    "impression": _("Impression"),
}
"""The sections in their order."""


@dataclass(frozen=True)
class Source:
    """What a sentence rests on: the model or the expert by name (and version), or the person."""

    kind: Literal["model", "expert", "person"]
    name: str = ""

    @property
    def label(self) -> str:
        """In words, as it is marked in the report."""
        if self.kind == "person":
            return _("person")
        words = _("model: {name}") if self.kind == "model" else _("expert: {name}")
        return words.format(name=self.name)


PERSON = Source("person")


@dataclass(frozen=True)
class Sentence:
    """One statement. ``key`` names where in the conversation it came from, empty for what a person added."""

    text: str
    source: Source
    key: str = ""
    touched: bool = False


@dataclass(frozen=True)
class ReportSection:
    """The sentences under one title."""

    name: SectionName
    sentences: tuple[Sentence, ...] = ()

    @property
    def title(self) -> str:
        """The title in words."""
        return TITLES[self.name]


@dataclass(frozen=True)
class ReportDocument:
    """The whole report; ``removed`` are the keys of sentences that the person took out."""

    sections: tuple[ReportSection, ...] = tuple(ReportSection(name) for name in TITLES)
    removed: tuple[str, ...] = ()

    def section(self, name: SectionName) -> ReportSection:
        """The section of that name."""
        return next(section for section in self.sections if section.name == name)

    @property
    def is_touched(self) -> bool:
        """Whether a person changed anything."""
        sentences = (sentence for section in self.sections for sentence in section.sentences)
        return bool(self.removed) or any(sentence.touched for sentence in sentences)


def edited(report: ReportDocument, name: SectionName, place: int, text: str) -> ReportDocument:
    """With another text at a place: the person's now; without any, the sentence is gone."""
    section = report.section(name)
    old = section.sentences[place]
    text = " ".join(text.split())
    if text == old.text:
        return report
    if not text:
        return _without(report, name, place)
    new = replace(old, text=text, source=PERSON, touched=True)
    return _with(report, name, (*section.sentences[:place], new, *section.sentences[place + 1 :]))


def added(report: ReportDocument, name: SectionName, place: int, text: str) -> ReportDocument:
    """With a sentence of the person before a place; nothing changes where it has no text."""
    text = " ".join(text.split())
    if not text:
        return report
    old = report.section(name).sentences
    return _with(report, name, (*old[:place], Sentence(text, PERSON, touched=True), *old[place:]))


def moved(report: ReportDocument, name: SectionName, place: int, to: SectionName) -> ReportDocument:
    """With a sentence at the end of another section; its source stays."""
    sentence = replace(report.section(name).sentences[place], touched=True)
    left = report.section(name).sentences
    report = _with(report, name, left[:place] + left[place + 1 :])
    return _with(report, to, (*report.section(to).sentences, sentence))


def followed(report: ReportDocument, composed: ReportDocument) -> ReportDocument:
    """The report after the conversation went on: ``composed`` anew, with all that the person did to it."""
    theirs = {one.key for section in report.sections for one in section.sentences if one.touched and one.key}
    gone = theirs | set(report.removed)
    sections = []
    for section in composed.sections:
        fresh = [one for one in section.sentences if one.key not in gone]
        sections.append(replace(section, sentences=_merged(report.section(section.name).sentences, fresh)))
    return ReportDocument(tuple(sections), report.removed)


def _merged(before: Sequence[Sentence], fresh: list[Sentence]) -> tuple[Sentence, ...]:
    """``fresh`` with the touched ones of ``before``, each after the last before it that is still there."""
    result = list(fresh)
    place = 0
    for sentence in before:
        if sentence.touched:
            result.insert(place, sentence)
            place += 1
            continue
        place = next(
            (number + 1 for number, one in enumerate(result) if one.key == sentence.key and one.key), place
        )
    return tuple(result)


def _without(report: ReportDocument, name: SectionName, place: int) -> ReportDocument:
    sentences = report.section(name).sentences
    key = sentences[place].key
    report = _with(report, name, sentences[:place] + sentences[place + 1 :])
    return replace(report, removed=(*report.removed, key)) if key else report


def _with(report: ReportDocument, name: SectionName, sentences: tuple[Sentence, ...]) -> ReportDocument:
    sections = tuple(
        replace(section, sentences=sentences) if section.name == name else section
        for section in report.sections
    )
    return replace(report, sections=sections)
