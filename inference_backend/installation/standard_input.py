"""Ending when the program that started us goes away or wants us to: it closes our standard input.

Works alike on every platform, and however that program ends.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from _thread import interrupt_main


def end_when_closed() -> None:
    """From now on the end of standard input counts like a termination signal, which must be handled."""
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    interrupt_main(signal.SIGTERM)
