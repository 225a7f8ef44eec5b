"""Token ids to text pieces that can be shown as they come."""

from __future__ import annotations

from collections.abc import Sequence

from inference_backend.vila_m3.tokenizer import Tokenizer, clean_up_spaces, settled_length

BROKEN_CHARACTER = "\ufffd"


class TextStream:
    """Grows a reply's text by one token at a time.

    The pieces, joined, are the reply's text: decoded without special tokens, stripped, cut before the first
    stop string. What a later token could still change is held back: an unfinished UTF-8 character, the
    beginning of a stop string, spaces at the end, and spaces that cleaning up may take out.
    """

    def __init__(self, tokenizer: Tokenizer, stop_strings: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._stop_strings = tuple(stop for stop in stop_strings if stop)
        self._ids: list[int] = []
        self.text = ""
        """What the pieces so far amount to."""
        self.stopped = False
        """Whether a stop string has appeared."""

    def push(self, token_id: int) -> str:
        """Take one more token; return the text that is now certain, perhaps none."""
        self._ids.append(token_id)
        raw = self._tokenizer.decode_raw(self._ids).rstrip(BROKEN_CHARACTER)
        if self._tokenizer.cleans_up_spaces:
            raw = clean_up_spaces(raw[: settled_length(raw)])
        text = self._before_stop(raw.lstrip())
        return self._grow_to(text if self.stopped else text[: self._certain_length(text)])

    def finish(self) -> str:
        """The rest of the text; no token follows."""
        return self._grow_to(self._before_stop(self._tokenizer.decode(self._ids).lstrip()))

    def _before_stop(self, text: str) -> str:
        found = [place for stop in self._stop_strings if (place := text.find(stop)) >= 0]
        self.stopped = bool(found)
        return text[: min(found)] if found else text

    def _certain_length(self, text: str) -> int:
        """Length without an end that may turn out to begin a stop string."""
        begun = max((_overlap(text, stop) for stop in self._stop_strings), default=0)
        return len(text) - begun

    def _grow_to(self, text: str) -> str:
        piece = text.rstrip()[len(self.text) :]
        self.text += piece
        return piece


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of ``text`` that ``stop`` begins with."""
    lengths = range(min(len(stop) - 1, len(text)), 0, -1)
    return next((length for length in lengths if text.endswith(stop[:length])), 0)
