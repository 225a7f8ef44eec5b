"""What all courses have in hand."""

import sys
from pathlib import Path

import slicer

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # what tests share lies in Testing/


class Course:
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

    def steps(self):
        raise NotImplementedError
