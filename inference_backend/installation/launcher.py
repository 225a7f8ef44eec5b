"""Starting what was set up: the backend and the viewer as children that end with us."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inference_backend.installation import processes
from inference_backend.installation.errors import SetupError
from inference_backend.installation.layout import Layout
from inference_backend.installation.model_report import tell_when_loaded

HEADLESS_GL = {"VTK_DEFAULT_OPENGL_WINDOW": "vtkEGLRenderWindow"} if sys.platform == "linux" else {}
LOG_TAIL_LINES = 15


@dataclass(frozen=True)
class ReadyLine:
    """What a child says on its first line of output once it can be reached."""

    url: str
    key_file: str = ""


def interactive(layout: Layout, options: argparse.Namespace) -> int:
    """Run backend and viewer until Ctrl+C; the exit code of the one that ends by itself."""
    with _backend(layout, 0, options) as (backend, ready):
        command = _viewer(layout, "browser_viewer", ready, options)
        with _child(layout, "viewer", [*command, "--port", str(options.port)]) as (viewer, page):
            print(f"\nThe viewer: {page.url}\nCtrl+C ends it.", flush=True)
            tell_when_loaded(ready.url, ready.key_file)
            if not options.no_browser:
                webbrowser.open(page.url)
            return _first_end(layout, {"backend": backend, "viewer": viewer})


def headless(layout: Layout, options: argparse.Namespace) -> int:
    """Ask once and write the files; the exit code says whether all of it is true."""
    with _backend(layout, 0, options) as (_, ready):
        command = _viewer(layout, "browser_viewer.headless", ready, options)
        command += ["--ask", options.ask, "--output", str(options.output)]
        command += ["--modality", options.modality] if options.modality else []
        return processes.run_passing_through(command, HEADLESS_GL)


def backend_alone(layout: Layout, options: argparse.Namespace) -> int:
    """Run the backend until Ctrl+C, on the port that was asked for."""
    with _backend(layout, options.port, options) as (backend, ready):
        print(f"\nThe backend: {ready.url}\nIts key is in {ready.key_file}\nCtrl+C ends it.", flush=True)
        tell_when_loaded(ready.url, ready.key_file)
        return _first_end(layout, {"backend": backend})


def _viewer(layout: Layout, module: str, ready: ReadyLine, options: argparse.Namespace) -> list[str]:
    command = [str(layout.python), "-m", module, "--backend", ready.url, "--key-file", ready.key_file]
    command += ["--volume", str(options.volume or layout.sample_scan)]
    command += ["--parent-pid", str(os.getpid())]
    if options.series:
        command += ["--series", options.series]
    return command


@contextmanager
def _backend(
    layout: Layout, port: int, options: argparse.Namespace
) -> Iterator[tuple[subprocess.Popen[str], ReadyLine]]:
    command = [str(layout.python), "-m", "inference_backend", "serve"]
    command += ["--port", str(port), "--parent-pid", str(os.getpid()), "--device", options.device]
    command += ["--model", options.model] if options.model else []
    command += ["--precision", options.precision] if options.precision else []
    command += ["--prompt-layout", options.prompt_layout] if options.prompt_layout else []
    command += ["--hung-after", str(options.hung_after)] if options.hung_after is not None else []
    command += ["--store", str(options.store)] if options.store else []
    with _child(layout, "backend", command + ["--keep-scans"] * options.keep_scans) as child:
        yield child


@contextmanager
def _child(
    layout: Layout, name: str, command: Sequence[str]
) -> Iterator[tuple[subprocess.Popen[str], ReadyLine]]:
    """Start a child that logs to a file, wait for its ready line, end it with the block."""
    log = log_file(layout, name)
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("w") as errors,
        processes.ended_with_us(
            processes.start(command, HEADLESS_GL, stdout=subprocess.PIPE, stderr=errors)
        ) as process,
    ):
        yield process, _ready_line(process, name, log)


def log_file(layout: Layout, name: str) -> Path:
    """Where a child's log goes."""
    return layout.cache / "logs" / f"{name}.log"


def _ready_line(process: subprocess.Popen[str], name: str, log: Path) -> ReadyLine:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            said = json.loads(line)
            return ReadyLine(said.get("url") or said["address"], said.get("key_file") or "")
    raise SetupError(
        f"The {name} ended before it could be reached (exit code {processes.wait(process)}).\n{tail(log)}",
        f"The whole log is in {log}.",
    )


def tail(log: Path) -> str:
    """The last lines of a log, indented."""
    lines = log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
    return "\n".join(f"    {line}" for line in lines)


def _first_end(layout: Layout, children: dict[str, subprocess.Popen[str]]) -> int:
    """Wait until one of ``children`` ends by itself; that is an error unless it ended well."""
    name, code = processes.wait_for_first(children)
    if code:
        log = log_file(layout, name)
        raise SetupError(
            f"The {name} has ended by itself (exit code {code}).\n{tail(log)}",
            f"Start the same command again. The whole log is in {log}.",
        )
    return code
