"""What all courses have in hand."""

import sys
from abc import ABC, abstractmethod
from pathlib import Path

import slicer

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # what tests share lies in Testing/


class Course(ABC):
    """Gives conditions to wait for, by ``steps``; ``run`` keeps what is found."""

    def __init__(self, run):
        self.run = run
        self.check = run.check

    @property
    def widget(self):
        return slicer.modules.VILAM3SlicerWidget

    @property
    def session(self):
        return self.widget.session

    @property
    def connection(self):
        return self.session.connection

    @abstractmethod
    def steps(self):
        """Does what a person does, and yields what to wait for: a condition and its patience in seconds."""


def after(looks):
    """True after so many looks: lets the panel draw."""
    left = [looks]

    def looked():
        left[0] -= 1
        return left[0] <= 0

    return looked
