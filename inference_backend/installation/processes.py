"""Child processes in groups of their own, so that ending one ends whatever it started."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import IO

from inference_backend.installation.errors import CommandFailed

GRACE_S = 15.0
"""How long a child may take to end in good order (wipe its scans) before it is killed."""
TAIL_LINES = 15
TICK_S = 0.2


def start(
    command: Sequence[str],
    env: Mapping[str, str] | None = None,
    stdout: int | None = None,
    stderr: int | IO[str] | None = None,
) -> subprocess.Popen[str]:
    """Start ``command`` as the leader of a process group; ``env`` adds to our environment."""
    return subprocess.Popen(
        list(command),
        env=_environment(env or {}),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=os.name != "nt",
        creationflags=_creation_flags(),
    )


def _environment(added: Mapping[str, str]) -> dict[str, str]:
    """Ours and ``added``. Bytecode is written, as pip leaves that to the first import."""
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**ours, **added}


def _creation_flags() -> int:
    if sys.platform == "win32":
        return subprocess.CREATE_NEW_PROCESS_GROUP
    return 0


def end(process: subprocess.Popen[str], grace_s: float = GRACE_S) -> None:
    """End ``process`` and all it started: politely first, by force after ``grace_s`` seconds."""
    try:
        if process.poll() is None:
            _ask_to_end(process)
            with suppress(subprocess.TimeoutExpired):
                process.wait(grace_s)
    finally:  # also when an impatient person presses Ctrl+C again
        _kill_group(process)
        process.wait()


def _ask_to_end(process: subprocess.Popen[str]) -> None:
    if sys.platform == "win32":
        process.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        _signal_group(process.pid, signal.SIGTERM)


def _kill_group(process: subprocess.Popen[str]) -> None:
    if sys.platform == "win32":
        command = ["taskkill", "/T", "/F", "/PID", str(process.pid)]
        subprocess.run(command, capture_output=True, check=False)
    else:
        _signal_group(process.pid, signal.SIGKILL)


def _signal_group(leader: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS says "not permitted" for a group of zombies
        os.killpg(leader, number)


@contextmanager
def ended_with_us(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """End ``process`` with its children when the block is left, in whatever way."""
    try:
        yield process
    finally:
        end(process)


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Treat SIGTERM (and SIGHUP: the terminal was closed) like Ctrl+C, so that children are ended."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [signal.SIGTERM] + ([] if sys.platform == "win32" else [signal.SIGHUP])
    previous = [(number, signal.signal(number, interrupt)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in previous:
            signal.signal(number, handler)


def run_quietly(
    command: Sequence[str],
    on_line: Callable[[str], None] = lambda _line: None,
    on_tick: Callable[[], None] = lambda: None,
    env: Mapping[str, str] | None = None,
) -> list[str]:
    """Run ``command`` to its end and return its last lines.

    Args:
        on_line: called with every line of output.
        on_tick: called a few times a second, also while the program is silent.

    Raises:
        CommandFailed: the program ended with an error; carries the last lines.
    """
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    with ended_with_us(start(command, env, subprocess.PIPE, subprocess.STDOUT)) as process:
        for line in _lines(process, on_tick):
            tail.append(line)
            on_line(line)
        code = process.wait()
    if code:
        raise CommandFailed(f"A program ended with code {code}: {' '.join(command)}", tail="\n".join(tail))
    return list(tail)


def run_passing_through(command: Sequence[str], env: Mapping[str, str] | None = None) -> int:
    """Run ``command`` with its output unchanged on ours; its exit code."""
    with ended_with_us(start(command, env)) as process:
        return wait(process)


def wait(process: subprocess.Popen[str]) -> int:
    """Wait for the end of ``process``; its exit code."""
    return wait_for_first({"": process})[1]


def wait_for_first(children: Mapping[str, subprocess.Popen[str]]) -> tuple[str, int]:
    """Name and exit code of the child that ends first.

    Waits in small steps, as a blocking wait cannot be interrupted on Windows.
    """
    while True:
        for name, process in children.items():
            if (code := process.poll()) is not None:
                return name, code
        time.sleep(TICK_S)


def _lines(process: subprocess.Popen[str], on_tick: Callable[[], None]) -> Iterator[str]:
    lines: queue.Queue[str | None] = queue.Queue()
    assert process.stdout is not None
    threading.Thread(target=_feed, args=(process.stdout, lines), daemon=True).start()
    while True:
        on_tick()
        with suppress(queue.Empty):
            line = lines.get(timeout=TICK_S)
            if line is None:
                return
            yield line


def _feed(stream: IO[str], lines: queue.Queue[str | None]) -> None:
    for line in stream:
        lines.put(line.rstrip())
    lines.put(None)
