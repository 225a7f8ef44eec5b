"""Two set-ups do not work at once; children end with us, their own children too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from inference_backend.installation import processes
from inference_backend.installation.errors import AlreadyRunning, CommandFailed
from inference_backend.installation.lock import exclusive

posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
HOLD = """
import sys, time
from pathlib import Path
from inference_backend.installation.lock import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
child.wait()
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_second_set_up_is_refused_and_names_the_first(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(AlreadyRunning, match=str(holder.pid)), exclusive(tmp_path / "lock"):
        pass


def test_lock_of_a_killed_set_up_is_free(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    with exclusive(tmp_path / "lock"):
        pass


def test_lines_come_as_they_are_printed_and_failure_keeps_the_last() -> None:
    seen: list[str] = []
    script = "print('one'); print('two'); raise SystemExit(7)"
    with pytest.raises(CommandFailed, match="code 7") as raised:
        processes.run_quietly([sys.executable, "-c", script], seen.append)
    assert seen == ["one", "two"]
    assert raised.value.tail == "one\ntwo"


def test_end_takes_the_children_of_a_child_along() -> None:
    process = processes.start([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    assert process.stdout is not None
    grandchild = psutil.Process(int(process.stdout.readline()))
    processes.end(process, grace_s=5)
    assert _gone(grandchild)


@posix
def test_stubborn_child_is_killed_after_the_grace() -> None:
    process = processes.start([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    processes.end(process, grace_s=0.2)
    assert process.returncode == -signal.SIGKILL


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_what_was_started(number: signal.Signals) -> None:
    script = f"""
import sys
from inference_backend.installation.processes import run_passing_through, termination_as_interrupt
with termination_as_interrupt():
    try:
        run_passing_through([sys.executable, "-c", {PARENT!r}])
    except KeyboardInterrupt:
        sys.exit(130)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        grandchild = psutil.Process(int(process.stdout.readline()))
        process.send_signal(number)
        assert process.wait(20) == 130
    assert _gone(grandchild)


def test_exit_code_of_a_program_is_passed_on() -> None:
    assert processes.run_passing_through([sys.executable, "-c", "raise SystemExit(3)"]) == 3


def _gone(process: psutil.Process) -> bool:
    for _ in range(50):
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.1)
    return False
