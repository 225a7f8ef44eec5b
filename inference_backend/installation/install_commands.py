"""``setup_backend.py install`` and ``uninstall``: a backend in a folder of its own, for the Slicer module."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from inference_backend.installation.demo_model import demo_model_step
from inference_backend.installation.environment import environment_steps
from inference_backend.installation.errors import SetupError
from inference_backend.installation.installed import (
    require_ours_or_empty,
    uninstall,
    write_installed,
)
from inference_backend.installation.layout import Layout
from inference_backend.installation.lock import exclusive
from inference_backend.installation.machine_progress import MachineProgress, write_line
from inference_backend.installation.plan import make_plan
from inference_backend.installation.progress import Progress
from inference_backend.installation.sample_data import language_model_step
from inference_backend.installation.source import copy_source, source_digest
from inference_backend.installation.standard_input import end_when_closed
from inference_backend.installation.steps import Step, gigabytes, run_steps
from inference_backend.store.folder import remove_unused
from VILAM3SlicerLib.protocol.installation import InstallPlan
from VILAM3SlicerLib.protocol.places import backend_folder, store_folder, user_data_folder

EXTRAS = ("quantised",)
"""Slicer itself is the viewer."""


def run_install(layout: Layout, options: argparse.Namespace) -> int:
    """Copy the program out of ``layout.root`` into a folder of its own and set it up there."""
    with _told(options):
        target = Layout(_target(layout, options.folder))
        steps = install_steps(layout, target)
        plan = make_plan(target, steps)
        if options.plan:
            print(json.dumps(asdict(plan)) if options.json else describe(plan), flush=True)
            return 0
        require_ours_or_empty(target.root)
        _require_consent(plan, options)
        _install(layout, target, steps, options)
    return 0


def run_uninstall(_layout: Layout, options: argparse.Namespace) -> int:
    """Take away what ``install`` made, and nothing else."""
    with _told(options):
        folder = _absolute(options.folder)
        left = uninstall(folder, options.keep_weights)
        remove_unused(store_folder())
        with suppress(OSError):  # holds other things, such as the record of consents
            user_data_folder().rmdir()
        kept = f" What is left there is not ours: {', '.join(left)}." if left else ""
        _say(options, "removed", f"The backend in {folder} was removed.{kept}")
    return 0


def install_steps(layout: Layout, target: Layout) -> list[Step]:
    """All that an installation does; the steps that are done already are passed over."""
    return [
        Step(
            title="Copying the program",
            marker=target.markers / "source",
            inputs=lambda: [source_digest(layout.root)],
            action=lambda _progress: copy_source(layout.root, target.root),
            products=(target.root / "setup_backend.py",),
            disk_bytes=100_000_000,
        ),
        *environment_steps(target, EXTRAS),
        language_model_step(target),
        demo_model_step(target),
    ]


def _install(layout: Layout, target: Layout, steps: Sequence[Step], options: argparse.Namespace) -> None:
    if options.watch_stdin:
        end_when_closed()
    with exclusive(target.lock), _own_pip_cache(target):
        write_installed(target, "unfinished", source_digest(layout.root))
        progress = MachineProgress if options.json else Progress
        run_steps(steps, progress(len(steps), sys.stdout))
        write_installed(target, "complete", source_digest(layout.root))
    _say(options, "installed", f"The backend is installed in {target.root}.")


@contextmanager
def _own_pip_cache(target: Layout) -> Iterator[None]:
    """Keep pip's downloads inside the folder: a cut run goes on with them, and taking away takes all."""
    cache = target.cache / "pip"
    os.environ["PIP_CACHE_DIR"] = str(cache)
    yield
    shutil.rmtree(cache, ignore_errors=True)  # only after a whole run


def _target(layout: Layout, folder: Path) -> Path:
    target = _absolute(folder)
    if layout.root.is_relative_to(target) or target.is_relative_to(layout.root):
        raise SetupError(
            f"{target} and the program's own folder lie in each other.",
            "Name another one.",
            "folder_unusable",
        )
    return target


def _absolute(folder: Path) -> Path:
    return Path(os.path.abspath(folder.expanduser()))


def _require_consent(plan: InstallPlan, options: argparse.Namespace) -> None:
    if options.yes:
        return
    print(describe(plan), flush=True)
    if not (sys.stdin.isatty() and input("Install it?\n[y/N] ").strip().lower() in ("y", "yes")):
        raise SetupError(
            "Nothing was installed.", "Give --yes to agree without being asked.", "consent_needed"
        )


def describe(plan: InstallPlan) -> str:
    """The plan for a person at a terminal."""
    lines = [f"Folder: {plan.folder} ({plan.state})", f"Python: {plan.python}"]
    lines += [f"To do: {', '.join(plan.steps) or 'nothing'}"]
    lines += [
        f"About {gigabytes(plan.download_bytes)} to fetch, up to {gigabytes(plan.disk_bytes)} on the disk"
    ]
    lines += [f"Licence of {what}: {licence}" for what, licence in plan.licences]
    return "\n".join(lines)


@contextmanager
def _told(options: argparse.Namespace) -> Iterator[None]:
    """With ``--json`` an error is a line of kind ``failed``, besides its words on standard error."""
    try:
        yield
    except (SetupError, OSError) as error:
        told = error.body if isinstance(error, SetupError) else SetupError(str(error), "Mend this.").body
        if options.json:
            write_line(sys.stdout, kind="failed", **asdict(told))
        raise


def _say(options: argparse.Namespace, kind: str, text: str) -> None:
    if options.json:
        write_line(sys.stdout, kind=kind, text=text)
    else:
        print(text, flush=True)


def add_parsers(install: argparse.ArgumentParser, remove: argparse.ArgumentParser) -> None:
    """The two commands as ``--help`` shows them."""
    for parser in (install, remove):
        parser.add_argument(
            "--folder",
            type=Path,
            default=backend_folder(),
            help="where the backend lies (default: %(default)s)",
        )
        parser.add_argument("--json", action="store_true", help="tell everything as JSON, one object a line")
    install.add_argument("--yes", action="store_true", help="agree to the size and the licences")
    install.add_argument("--plan", action="store_true", help="only tell what would be done")
    install.add_argument("--watch-stdin", action="store_true", help="stop when standard input is closed")
    install.set_defaults(run=run_install)
    remove.add_argument("--keep-weights", action="store_true", help="leave downloaded models there")
    remove.set_defaults(run=run_uninstall)
