"""Licences that a person accepted: which text, for which weights, when, and under whose name.

What counts is the text: one that its publisher has changed has to be accepted again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from inference_backend.weights.catalogue import Entry
from inference_backend.weights.errors import ConsentNeeded
from VILAM3SlicerLib.protocol.weights import LicenceText


@dataclass(frozen=True)
class Consent:
    """One line of the record; ``accepted_at`` is UTC in ISO 8601."""

    weights: str
    licence: str
    sha256: str
    accepted_at: str
    accepted_by: str


class Consents:
    """The record, one JSON object a line, and each accepted text in a file beside it."""

    def __init__(self, root: Path) -> None:
        """``root`` is the weights folder."""
        self._folder = root / "consents"
        self.file = self._folder / "consents.jsonl"

    def all(self) -> list[Consent]:
        """Every consent that was given here."""
        if not self.file.exists():
            return []
        return [Consent(**json.loads(line)) for line in self.file.read_text(encoding="utf-8").splitlines()]

    def read(self, entry: Entry, folder: Path) -> tuple[LicenceText, ...]:
        """The licence texts in ``folder`` that need consent, and whether it was given.

        Raises:
            ConsentNeeded: a text is not there, so nobody can have accepted it.
        """
        if not entry.licence.needs_consent:
            return ()
        given = {(consent.weights, consent.sha256) for consent in self.all()}
        return tuple(self._text(entry, folder, file, given) for file in entry.licence.files)

    def _text(self, entry: Entry, folder: Path, file: str, given: set[tuple[str, str]]) -> LicenceText:
        try:
            content = (folder / file).read_bytes()
        except FileNotFoundError as error:
            raise ConsentNeeded(
                f"{entry.id} came without its licence text {file}, so it cannot be used.", how_to(entry)
            ) from error
        sha256 = hashlib.sha256(content).hexdigest()
        text = content.decode("utf-8", errors="replace")
        return LicenceText(file, sha256, text, (entry.id, sha256) in given)

    def require(self, entry: Entry, folder: Path) -> None:
        """Raises ConsentNeeded unless every licence text in ``folder`` was accepted."""
        missing = [text.file for text in self.read(entry, folder) if not text.accepted]
        if missing:
            raise ConsentNeeded(
                f"The licence of {entry.id} is not accepted: {entry.licence.name} ({', '.join(missing)}).",
                how_to(entry),
            )

    def accept(
        self, entry: Entry, texts: Iterable[LicenceText], hashes: Sequence[str], accepted_by: str
    ) -> None:
        """Record consent to those of ``texts`` whose hash is among ``hashes``."""
        self._folder.mkdir(parents=True, exist_ok=True)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self.file.open("a", encoding="utf-8") as record:
            for text in texts:
                if text.sha256 in hashes and not text.accepted:
                    consent = Consent(entry.id, text.file, text.sha256, now, accepted_by)
                    (self._folder / f"{text.sha256}.txt").write_text(text.text, encoding="utf-8")
                    record.write(json.dumps(asdict(consent)) + "\n")


def how_to(entry: Entry) -> str:
    """What to do to accept a licence."""
    return f"It is shown, to be accepted or not, by: setup_backend.py weights download {entry.id}"
