"""The weights that this project knows, read from ``catalogue.json``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from VILAM3SlicerLib.protocol.errors import NotFound

CATALOGUE_FILE = Path(__file__).with_name("catalogue.json")


class Kind(StrEnum):
    """What the weights are of. The demo model is built by the set-up, all others are downloaded."""

    VILA_M3 = "vila_m3"
    DEMO = "demo"
    EXPERT = "expert"


@dataclass(frozen=True)
class Hub:
    """A repository on the hub; ``revision`` is a commit, whole or its first digits."""

    repository: str
    revision: str


@dataclass(frozen=True)
class Licence:
    """``files`` hold its text, which with ``needs_consent`` is to be accepted before all else is fetched."""

    name: str
    files: tuple[str, ...]
    needs_consent: bool


@dataclass(frozen=True)
class LanguageModel:
    """The shape of a Llama, from which its memory follows; ``context`` is the longest prompt with answer."""

    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    key_value_heads: int
    head_size: int
    vocabulary: int
    context: int
    tied_embeddings: bool = False


@dataclass(frozen=True)
class Conversion:
    """How released files become plain tensors: by which module, which file it makes last, what is asked."""

    module: str
    makes: str
    question: str


@dataclass(frozen=True)
class Entry:
    """One item of the catalogue.

    Attributes:
        id: what a person types, and the name of its folder.
        hub, base_url: where it comes from, one of them; neither for the demo model.
        keep, leave_out: patterns of the repository's files that are needed; ``leave_out`` wins.
        files: sizes in bytes as the publisher lists them (three digits), by path.
        rank: 1 is the best model to answer; None for experts.
        language_model: shape of the language model; None for experts.
        memory_bytes: device memory that the publisher states for an expert.
        conversion: what has to be done once before the files can be used, None for nothing.
    """

    id: str
    kind: Kind
    title: str
    licence: Licence
    files: Mapping[str, int]
    hub: Hub | None = None
    base_url: str | None = None
    keep: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    rank: int | None = None
    language_model: LanguageModel | None = None
    memory_bytes: int | None = None
    conversion: Conversion | None = None

    @property
    def size(self) -> int:
        """Bytes on the disk, about."""
        return sum(self.files.values())

    @property
    def source(self) -> str:
        """Where it comes from, for a person to read."""
        if self.hub is not None:
            return f"{self.hub.repository} at {self.hub.revision[:7]}"
        return self.base_url or "built by the set-up"

    @property
    def is_model(self) -> bool:
        """Whether it answers questions."""
        return self.kind is not Kind.EXPERT

    @property
    def other_size(self) -> int:
        """Bytes of the weights beside the language model's."""
        return sum(size for path, size in self.files.items() if not path.startswith("llm/"))

    def needs(self, path: str) -> bool:
        """Whether a file of the repository is needed here."""
        wanted = any(fnmatchcase(path, pattern) for pattern in self.keep)
        return wanted and not any(fnmatchcase(path, pattern) for pattern in self.leave_out)


class Catalogue:
    """All entries, found by id without regard to case."""

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self._entries = {entry.id.lower(): entry for entry in entries}

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._entries

    def __getitem__(self, name: str) -> Entry:
        """The entry called ``name``. Raises NotFound, which names those that there are."""
        if name not in self:
            known = ", ".join(entry.id for entry in self)
            raise NotFound(
                f"There are no weights called '{name}'.", f"Use one of {known}.", "weights_unknown"
            )
        return self._entries[name.lower()]


def read_catalogue(file: Path = CATALOGUE_FILE) -> Catalogue:
    """Read the catalogue that comes with this code."""
    data = json.loads(file.read_text(encoding="utf-8"))
    return Catalogue(tuple(_entry(item) for item in data["models"]))


def _entry(item: Mapping[str, Any]) -> Entry:
    return Entry(
        id=item["id"],
        kind=Kind(item["kind"]),
        title=item["title"],
        licence=Licence(**{**item["licence"], "files": tuple(item["licence"]["files"])}),
        files=item["files"],
        hub=Hub(**item["hub"]) if "hub" in item else None,
        base_url=item.get("base_url"),
        keep=tuple(item.get("keep", ())),
        leave_out=tuple(item.get("leave_out", ())),
        rank=item.get("rank"),
        language_model=LanguageModel(**item["language_model"]) if "language_model" in item else None,
        memory_bytes=item.get("memory_bytes"),
        conversion=Conversion(**item["conversion"]) if "conversion" in item else None,
    )
