"""The table of a study: guessed, corrected, confirmed; what is wrong with it is said."""

from __future__ import annotations

import pytest

from VILAM3SlicerLib.chat.mri_study import MriStudy
from VILAM3SlicerLib.protocol.errors import InvalidRequest
from VILAM3SlicerLib.protocol.mri_sequences import SequenceCandidate

SERIES = [
    SequenceCandidate("1", "5: ax", "AX T1 POST GAD"),
    SequenceCandidate("2", "3: ax", "AX T1"),
    SequenceCandidate("3", "case_t2"),
    SequenceCandidate("4", "9: ax", "AX FLAIR"),
]


def study_of(*candidates: SequenceCandidate) -> MriStudy:
    study = MriStudy()
    study.offer(candidates)
    return study


def table(study: MriStudy) -> list[str]:
    return [row.key for row in study.rows]


def test_roles_are_found_by_description_else_by_name() -> None:
    study = study_of(*reversed(SERIES))
    assert table(study) == ["1", "2", "3", "4"]
    assert all(row.is_guess for row in study.rows)
    assert study.message == ""
    assert not study.is_confirmed


def test_confirming_makes_guesses_the_persons_word() -> None:
    study = study_of(*SERIES)
    study.confirm()
    assert study.is_confirmed
    study.offer([*SERIES, SequenceCandidate("5", "another t2")])
    assert table(study) == ["1", "2", "3", "4"]


def test_a_person_can_swap_two_sequences() -> None:
    study = study_of(*SERIES)
    study.confirm()
    study.choose("T1", "1")
    assert table(study) == ["", "1", "3", "4"]
    assert study.message == "Missing: T1c. A tumour segmentation needs all four."
    study.choose("T1c", "2")
    assert table(study) == ["2", "1", "3", "4"]
    assert [one.role for one in study.sequences("3")] == ["T1c", "T1", "T2", "FLAIR"]


def test_a_volume_given_to_one_role_is_guessed_for_no_other() -> None:
    study = study_of(*SERIES)
    study.choose("FLAIR", "3")
    assert table(study) == ["1", "2", "", "3"]


def test_two_candidates_for_a_role_leave_it_to_the_person() -> None:
    study = study_of(*SERIES, SequenceCandidate("5", "t2 again"))
    assert study.message == "T2 could be case_t2 or t2 again: choose."
    assert table(study)[2] == ""
    study.choose("T2", "5")
    assert study.message == ""


def test_a_question_about_another_volume_takes_no_study() -> None:
    study = study_of(*SERIES, SequenceCandidate("6", "adc"))
    assert study.sequences("6") == ()
    assert len(study.sequences("1")) == 4


def test_a_volume_that_left_the_scene_leaves_the_table() -> None:
    study = study_of(*SERIES)
    study.confirm()
    study.offer(SERIES[:3])
    assert table(study) == ["1", "2", "3", ""]
    assert study.missing == ("FLAIR",)


def test_a_study_of_two_patients_is_refused_and_named() -> None:
    patients = [SequenceCandidate(*(one.key, one.name, one.description), patient="a") for one in SERIES]
    stranger = SequenceCandidate("4", "9: ax", "AX FLAIR", patient="b")
    assert study_of(*patients).sequences("1")
    study = study_of(*patients[:3], stranger)
    assert study.message.startswith("These are images of different patients: 5: ax")
    with pytest.raises(InvalidRequest, match="different patients"):
        study.sequences("1")
    study.choose("FLAIR", "")
    assert len(study.sequences("1")) == 3


def test_changes_are_told_and_equal_offers_are_none() -> None:
    study, told = study_of(*SERIES), []
    study.on_change = lambda: told.append(1)
    study.offer(list(SERIES))
    assert not told
    study.choose("T1", "")
    study.offer(SERIES[:2])
    assert len(told) == 2
