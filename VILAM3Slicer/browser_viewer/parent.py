"""Ending with the program that started this one."""

from __future__ import annotations

import _thread
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
    _thread.interrupt_main()
