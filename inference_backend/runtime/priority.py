"""The processes that compute let the programs go first that a person works with."""

from __future__ import annotations

import os
import sys

import psutil

STEPS_DOWN = 10
"""Measured on two cores beside a network on both: a viewer's 10 ms timer is late by 4 to 5 ms at the 99th
percentile, nearly as without the network; with 5 steps or none it is 8 ms."""

THREADS = "OMP_NUM_THREADS"
"""Read by torch and numpy's libraries when they are imported."""


def give_way() -> None:
    """Lower this process's priority and leave a core to others; to be called before torch is imported.

    Slicer on Linux puts its own main thread to the lowest priority there is, nice 19
    (``vtkSlicerApplicationLogic::SetCurrentThreadPriorityToBackground``), so only a free core keeps its
    windows moving. Who set the number of threads is obeyed.
    """
    if sys.platform == "win32":
        psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    else:
        os.nice(STEPS_DOWN)
    os.environ.setdefault(THREADS, str(threads(_usable_cores(), psutil.cpu_count(logical=False))))


def threads(logical: int, physical: int | None) -> int:
    """How many threads compute: as many as there are real cores, but one less than all."""
    return max(1, min(physical or logical, logical - 1))


def _usable_cores() -> int:
    usable = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    return len(usable(0)) if usable is not None else os.cpu_count() or 1
