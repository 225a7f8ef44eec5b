"""Ending with the program that started this one."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from contextlib import suppress

import psutil


def end_with(parent: int | None) -> None:
    """Interrupt this process, as Ctrl+C does, when the process ``parent`` is gone; None for no parent."""
    if parent is not None:
        threading.Thread(target=_wait, args=(parent,), daemon=True).start()


def _wait(parent: int) -> None:
    with suppress(psutil.NoSuchProcess):
        psutil.Process(parent).wait()
    if sys.platform == "win32":
        _thread.interrupt_main()
    else:  # wakes the main thread even where it waits
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
