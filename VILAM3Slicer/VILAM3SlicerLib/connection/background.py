"""Work on a thread whose outcome is told on the thread that asks for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from VILAM3SlicerLib.chat.interfaces import OnError
from VILAM3SlicerLib.protocol.errors import VilaM3Error
from VILAM3SlicerLib.protocol.phrases import phrases

_ = phrases(__name__)

Value = TypeVar("Value")


class BackgroundWork(Generic[Value]):
    """One piece of work on a thread of its own, begun at once; it may touch neither Qt, VTK nor MRML."""

    def __init__(
        self, work: Callable[[], Value], on_done: Callable[[Value], None], on_error: OnError
    ) -> None:
        self._work = work
        self._on_done = on_done
        self._on_error = on_error
        self._tell: Callable[[], None] = lambda: None
        self._ended = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def has_ended(self) -> bool:
        """Whether the outcome is there."""
        return self._ended.is_set()

    def tell(self) -> None:
        """Tell the outcome, on the thread that calls."""
        self._tell()

    def _run(self) -> None:
        try:
            value = without_surprises(self._work)()
            self._tell = lambda: self._on_done(value)
        except VilaM3Error as error:
            self._fail(error)
        finally:
            self._ended.set()

    def _fail(self, error: VilaM3Error) -> None:
        self._tell = lambda: self._on_error(error)


def without_surprises(work: Callable[[], Value]) -> Callable[[], Value]:
    """The same work, whose errors are all VilaM3Errors: who waits for the outcome is told in any case."""

    def done() -> Value:
        try:
            return work()
        except VilaM3Error:
            raise
        except Exception as error:  # the edge of the thread
            logging.exception("VILAM3Slicer: background work failed")
            said = _("This failed unexpectedly ({kind}: {error}).").format(
                kind=type(error).__name__, error=error
            )
            raise VilaM3Error(said) from error

    return done
