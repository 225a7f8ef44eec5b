"""Seconds from a fresh clone to the first answer and from a second start, and each process's peak memory.

    python Testing/benchmarks/first_light.py [--question TEXT]

Clones this repository into a temporary folder, with an empty home folder, and runs the headless demo twice.
What the clone has not committed is not measured. Needs psutil, as the environment of the project has it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLING_S = 0.5
KINDS = {
    "browser_viewer": "viewer",
    "inference_backend serve": "backend (HTTP)",
    "demo_model.build": "building the demo model",
    "-m pip": "pip",
    "setup_backend.py": "setup_backend.py",
}
WORKER = "worker of the backend"


@dataclass
class Run:
    """One run of the demo: how long it took and what its processes needed at most."""

    seconds: float = 0.0
    exit_code: int = 0
    loads: list[float] = field(default_factory=list)
    peak_bytes: dict[str, int] = field(default_factory=dict)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--question", default="Segment the lungs.")
    question = parser.parse_args().question
    with tempfile.TemporaryDirectory() as folder:
        clone, home = Path(folder) / "clone", Path(folder) / "home"
        home.mkdir()
        began = time.monotonic()
        subprocess.run(["git", "clone", "-q", str(REPOSITORY), str(clone)], check=True)
        cloning = time.monotonic() - began
        first = measure(clone, home, question, "first")
        first.seconds += cloning
        second = measure(clone, home, question, "second")
    print(table({"fresh clone": first, "second start": second}))
    return max(first.exit_code, second.exit_code)


def measure(clone: Path, home: Path, question: str, name: str) -> Run:
    """Run the headless demo in ``clone`` and watch its processes."""
    command = [sys.executable, "setup_backend.py", "demo", "--headless", "--yes", "--ask", question]
    command += ["--output", str(home / name)]
    run = Run()
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=clone, env=_environment(home))
    while process.poll() is None:
        _sample(process.pid, run.peak_bytes)
        run.loads.append(psutil.getloadavg()[0])
        time.sleep(SAMPLING_S)
    run.seconds, run.exit_code = time.monotonic() - began, process.returncode
    return run


def _environment(home: Path) -> dict[str, str]:
    """Ours with an empty home folder, and without what this project's own environment sets."""
    kept = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    return {**kept, "HOME": str(home), "USERPROFILE": str(home)}


def _sample(pid: int, peaks: dict[str, int]) -> None:
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            kind, size = _kind(process), process.memory_info().rss
        except psutil.Error:
            continue
        peaks[kind] = max(peaks.get(kind, 0), size)


def _kind(process: psutil.Process) -> str:
    line = " ".join(process.cmdline())
    for sign, kind in KINDS.items():
        if sign in line:
            return kind
    return f"{WORKER} {process.name()}" if "multiprocessing" in line else process.name()


def table(runs: dict[str, Run]) -> str:
    """The figures as a Markdown table."""
    lines = ["| | " + " | ".join(runs) + " |", "|---" * (len(runs) + 1) + "|"]
    lines.append(_row("seconds to the files of the answer", [f"{run.seconds:.0f}" for run in runs.values()]))
    loads = [f"{sum(run.loads) / max(len(run.loads), 1):.1f}" for run in runs.values()]
    lines.append(_row(f"processes that wanted one of {psutil.cpu_count()} cores, mean", loads))
    lines.append(_row("exit code", [str(run.exit_code) for run in runs.values()]))
    for kind in sorted({kind for run in runs.values() for kind in run.peak_bytes}):
        sizes = [run.peak_bytes.get(kind) for run in runs.values()]
        cells = ["-" if size is None else f"{size / 1e6:.0f}" for size in sizes]
        lines.append(_row(f"peak memory, MB: {kind}", cells))
    return "\n".join(lines)


def _row(title: str, cells: list[str]) -> str:
    return f"| {title} | {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
