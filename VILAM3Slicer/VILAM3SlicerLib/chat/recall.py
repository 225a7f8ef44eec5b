"""Earlier questions, brought back one by one as in a shell."""

from __future__ import annotations

from collections.abc import Callable, Sequence


class Recall:
    """Walks through earlier questions; what was being typed comes back at the end.

    Args:
        questions: gives the questions asked so far, the oldest first.
    """

    def __init__(self, questions: Callable[[], Sequence[str]]) -> None:
        self._questions = questions
        self._steps_back = 0
        self._typed = ""

    def is_showing(self, text: str) -> bool:
        """Whether ``text`` is the question that was brought back last, unchanged."""
        return self._steps_back > 0 and text == self._at(self._steps_back)

    def older(self, text: str) -> str:
        """The question before the one shown; ``text`` is what the box holds now."""
        if not self.is_showing(text):
            self._steps_back, self._typed = 0, text
        if self._steps_back < len(self._questions()):
            self._steps_back += 1
        return self._at(self._steps_back)

    def newer(self, text: str) -> str:
        """The question after the one shown, at last what was typed before."""
        if not self.is_showing(text):
            return text
        self._steps_back -= 1
        return self._at(self._steps_back)

    def _at(self, steps_back: int) -> str:
        questions = self._questions()
        if not 0 < steps_back <= len(questions):
            return self._typed
        return questions[-steps_back]
