"""Which volumes are the four sequences of an MRI study: found, shown, corrected by the person, confirmed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from VILAM3SlicerLib.protocol.errors import InvalidRequest
from VILAM3SlicerLib.protocol.messages import MriRole
from VILAM3SlicerLib.protocol.mri_sequences import ROLES, SequenceCandidate
from VILAM3SlicerLib.protocol.phrases import joined, phrases

_ = phrases(__name__)


@dataclass(frozen=True)
class StudyRow:
    """A line of the table: a role and its volume, ``key`` empty where there is none.

    ``is_guess``: found by description or name, not yet confirmed or chosen by the person.
    """

    role: MriRole
    key: str
    name: str
    is_guess: bool


@dataclass(frozen=True)
class ChosenSequence:
    """A volume with its role, as it goes with a question."""

    role: MriRole
    key: str
    name: str


class MriStudy:
    """The table of a study. ``on_change`` is called after each change.

    A question takes what the table shows; ``confirm`` marks guesses as the person's own word.
    """

    def __init__(self) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._candidates: tuple[SequenceCandidate, ...] = ()
        self._said: dict[MriRole, str] = {}

    def offer(self, candidates: Sequence[SequenceCandidate]) -> None:
        """The volumes that there are now; what the person said of those that stayed still holds."""
        if tuple(candidates) == self._candidates:
            return
        self._candidates = tuple(candidates)
        keys = {"", *(one.key for one in candidates)}
        self._said = {role: key for role, key in self._said.items() if key in keys}
        self.on_change()

    def choose(self, role: MriRole, key: str) -> None:
        """The person says that a volume is this sequence, or with an empty key that none is.

        A volume is one sequence only: it is taken from another that the person gave it to.
        """
        self._said = {other: said for other, said in self._said.items() if not key or said != key}
        self._said[role] = key
        self.on_change()

    def confirm(self) -> None:
        """The person agrees with the table."""
        self._said.update({row.role: row.key for row in self.rows if row.is_guess})
        self.on_change()

    @property
    def is_confirmed(self) -> bool:
        """Whether nothing in the table is a guess."""
        return not any(row.is_guess for row in self.rows)

    @property
    def is_useful(self) -> bool:
        """Whether there is anything to choose: at least two volumes."""
        return len(self._candidates) > 1

    @property
    def choices(self) -> tuple[tuple[str, str], ...]:
        """Key and text of each volume that can be chosen."""
        return tuple((one.key, _described(one)) for one in self._candidates)

    @property
    def rows(self) -> tuple[StudyRow, ...]:
        """The four lines in the published order."""
        return tuple(self._row(role) for role in ROLES)

    @property
    def missing(self) -> tuple[MriRole, ...]:
        """The roles without a volume."""
        return tuple(row.role for row in self.rows if not row.key)

    @property
    def message(self) -> str:
        """What the person should look at: two patients, more than one candidate, what is missing."""
        strangers = self._of_other_patients()
        if strangers:
            return _("These are images of different patients: {names}.").format(names=", ".join(strangers))
        unclear = [
            _("{role} could be {names}").format(role=role, names=_or(found))
            for role in ROLES
            if len(found := self._possible(role)) > 1
        ]
        if unclear:
            return _("{which}: choose.").format(which=joined("; ", unclear))
        if self.missing and len(self.missing) < len(ROLES):
            words = _("Missing: {roles}. A tumour segmentation needs all four.")
            return words.format(roles=", ".join(self.missing))
        return ""

    def sequences(self, key: str) -> tuple[ChosenSequence, ...]:
        """The study's volumes in the published order, if the one of this key is among them; else none.

        Raises:
            InvalidRequest: they are of different patients.
        """
        chosen = tuple(ChosenSequence(row.role, row.key, row.name) for row in self.rows if row.key)
        if key not in [one.key for one in chosen]:
            return ()
        strangers = self._of_other_patients()
        if strangers:
            raise InvalidRequest(
                _("The sequences are of different patients: {names}.").format(names=", ".join(strangers)),
                _("Choose sequences of one patient in the table above the question."),
                "different_patients",
            )
        return chosen

    def _row(self, role: MriRole) -> StudyRow:
        if role in self._said:
            return StudyRow(role, self._said[role], self._name(self._said[role]), is_guess=False)
        possible = self._possible(role)
        if len(possible) != 1:
            return StudyRow(role, "", "", is_guess=False)
        return StudyRow(role, possible[0].key, possible[0].name, is_guess=True)

    def _possible(self, role: MriRole) -> list[SequenceCandidate]:
        """Volumes that speak of this role, where the person said nothing of the role or the volume."""
        if role in self._said:
            return []
        taken = set(self._said.values())
        return [one for one in self._candidates if one.role == role and one.key not in taken]

    def _name(self, key: str) -> str:
        return next((one.name for one in self._candidates if one.key == key), "")

    def _of_other_patients(self) -> list[str]:
        """The names of the sequences, where they are known to be of more than one patient."""
        keys = {row.key for row in self.rows if row.key}
        known = [one for one in self._candidates if one.key in keys and one.patient]
        return [one.name for one in known] if len({one.patient for one in known}) > 1 else []


def _described(candidate: SequenceCandidate) -> str:
    size = "×".join(str(count) for count in candidate.size)
    said = f", {candidate.description}" if candidate.description not in ("", candidate.name) else ""
    return f"{candidate.name}{said} ({size})"


def _or(candidates: Sequence[SequenceCandidate]) -> str:
    return joined(_(" or "), (one.name for one in candidates))
