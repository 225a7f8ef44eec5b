"""Points and a box in words."""

from __future__ import annotations

from VILAM3SlicerLib.chat.marks import Marks, mark_rows, told
from VILAM3SlicerLib.protocol.messages import BoxRegion, PointPrompt

BOX = BoxRegion((0, 20, 0, -12.4, 30, 0, 0, 8, 0, 0, 40, -100, 0, 0, 0, 1))


def test_marks_are_told_with_the_patients_sides() -> None:
    marks = Marks((PointPrompt((-12.3, 30.2, 5)), PointPrompt((1, -2, -3), is_positive=False)), BOX)
    include, exclude, box = mark_rows(marks)
    assert (include.kind, include.index, include.text) == ("add", 0, "Include L 12, A 30, S 5")
    assert (exclude.kind, exclude.index, exclude.text) == ("remove", 1, "Exclude R 1, P 2, I 3")
    assert (box.kind, box.text) == ("box", "Box 30 × 20 × 40 mm at L 12, A 8, I 100")


def test_the_model_is_told_of_structures_and_never_of_coordinates() -> None:
    point = PointPrompt((1, 2, 3))
    assert told(Marks((point,), BOX)) == ""
    assert told(Marks((point,), structures=("liver",))) == "The question is about a place in the liver."
    assert told(Marks((point, point), structures=("liver", "spleen"))).endswith("the liver and spleen.")


def test_no_marks_are_nothing() -> None:
    assert not Marks()
    assert Marks(box=BOX)
    assert mark_rows(Marks()) == []
