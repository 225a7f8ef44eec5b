"""The commands of setup_backend.py: what each sets up and what it then runs."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

from inference_backend.installation import install_commands, launcher, system_check, system_packages
from inference_backend.installation import weights as weights_commands
from inference_backend.installation.demo_model import demo_model_step
from inference_backend.installation.environment import environment_steps
from inference_backend.installation.errors import SetupError
from inference_backend.installation.layout import Layout
from inference_backend.installation.lock import exclusive
from inference_backend.installation.processes import run_passing_through, termination_as_interrupt
from inference_backend.installation.progress import Progress, duration
from inference_backend.installation.sample_data import demo_data_steps, reference_data_steps
from inference_backend.installation.steps import Step, run_steps
from inference_backend.vila_m3.precision import Precision
from VILAM3SlicerLib.protocol.messages import PromptLayout

INTERRUPTED = 130

RUN_TIME_EXTRAS = ("viewer", "quantised")
"""What of pyproject.toml's optional dependencies belongs to a complete installation."""


def main(arguments: Sequence[str], root: Path) -> int:
    """Run one command line; its exit code."""
    ours, pytest_arguments = _split_at_dashes(arguments)
    options = build_parser().parse_args(ours)
    options.pytest_arguments = pytest_arguments
    try:
        with termination_as_interrupt():
            return int(options.run(Layout(root), options))
    except KeyboardInterrupt:
        print("\nStopped; everything that was started has ended.", file=sys.stderr)
        return INTERRUPTED
    except SetupError as error:
        print(f"\n{error.message}\n-> {error.hint}", file=sys.stderr)
        return error.exit_code
    except OSError as error:  # a full disk, a folder that may not be written
        print(f"\n{error}\n-> Mend this and start the same command again.", file=sys.stderr)
        return SetupError.exit_code


def demo(layout: Layout, options: argparse.Namespace) -> int:
    """Set up what a chat needs, then start the backend and the viewer."""
    _check_demo_options(options)
    _set_up(layout, _demo_steps(layout, _consent(options)))
    if options.headless:
        return launcher.headless(layout, options)
    return launcher.interactive(layout, options)


def serve(layout: Layout, options: argparse.Namespace) -> int:
    """Set up the backend and run it alone."""
    _check_port(options.port)
    steps = _demo_steps(layout, _consent(options))
    _set_up(layout, steps)
    return launcher.backend_alone(layout, options)


def weights(layout: Layout, options: argparse.Namespace) -> int:
    """Set up the environment and manage weights in it; the demo model's come with the set-up."""
    is_demo = getattr(options, "id", None) == "demo" and options.weights_command == "download"
    _set_up(
        layout,
        _demo_steps(layout, lambda _: False) if is_demo else environment_steps(layout, RUN_TIME_EXTRAS),
    )
    return 0 if is_demo else weights_commands.run(layout, options)


def test(layout: Layout, options: argparse.Namespace) -> int:
    """Set up everything, then run the linter, the type checker and the tests."""
    agree = _consent(options)
    steps = [*_demo_steps(layout, agree, (*RUN_TIME_EXTRAS, "test")), *reference_data_steps(layout)]
    _set_up(layout, steps)
    _offer_chromium(layout, agree)
    checks = [["ruff", "check", "."], ["mypy"], ["pytest", *options.pytest_arguments]]
    return max(_check(layout, check) for check in checks)


def doctor(layout: Layout, _options: argparse.Namespace) -> int:
    """Print what the machine has and lacks."""
    findings = system_check.examine(layout)
    print(system_check.report(findings))
    return 0 if system_check.is_fit(findings) else 1


def _demo_steps(
    layout: Layout, agree: Callable[[str], bool], extras: tuple[str, ...] = RUN_TIME_EXTRAS
) -> list[Step]:
    rendering = system_packages.rendering(layout)
    return [
        *environment_steps(layout, extras),
        system_packages.step_for(rendering, layout.venv_markers / "rendering", agree),
        *demo_data_steps(layout),
        demo_model_step(layout),
    ]


def _set_up(layout: Layout, steps: Sequence[Step]) -> None:
    if all(step.is_done() for step in steps):
        return
    began = time.monotonic()
    with exclusive(layout.lock):
        run_steps(steps, Progress(len(steps), sys.stdout))
    print(f"Set up in {duration(time.monotonic() - began)}.", flush=True)


def _offer_chromium(layout: Layout, agree: Callable[[str], bool]) -> None:
    """The browser tests are skipped without a Chromium, so lacking it is said but is no failure."""
    package = system_packages.chromium()
    try:
        system_packages.ensure(package, agree, Progress(1, sys.stdout))
    except SetupError as error:
        print(f"{error.message} The browser tests are skipped. -> {error.hint}", flush=True)


def _check(layout: Layout, command: Sequence[str]) -> int:
    print(f"\n=== {' '.join(command)}", flush=True)
    os.chdir(layout.root)
    return run_passing_through([str(layout.python), "-m", *command])


def _consent(options: argparse.Namespace) -> Callable[[str], bool]:
    """Yes by ``--yes`` or on a CI machine; else the person is asked; nobody to ask means no."""

    def agree(question: str) -> bool:
        if options.yes or os.environ.get("CI") == "true":
            return True
        return sys.stdin.isatty() and input(f"{question}\n[y/N] ").strip().lower() in ("y", "yes")

    return agree


def _check_demo_options(options: argparse.Namespace) -> None:
    """Find what cannot work before anything is installed."""
    if options.headless and not ((options.ask or "").strip() and options.output):
        raise SetupError("Nothing is asked.", 'Give --ask "a question" and --output FOLDER with --headless.')
    if options.volume and not options.volume.exists():
        raise SetupError(
            f"There is no {options.volume}.", "Give a NIfTI, NRRD or MHA file, or a DICOM folder."
        )
    _check_port(options.port)


def _check_port(port: int) -> None:
    if not system_check.port_is_free(port):
        raise SetupError(
            f"Port {port} of this machine is in use.",
            "Give another one with --port, or 0 for any that is free.",
            code="port_in_use",
        )


def _split_at_dashes(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    ours = list(arguments)
    if "--" not in ours:
        return ours, []
    place = ours.index("--")
    return ours[:place], ours[place + 1 :]


def build_parser() -> argparse.ArgumentParser:
    """The command line as ``--help`` shows it."""
    parser = argparse.ArgumentParser(prog="setup_backend.py", description="Set up VILAM3Slicer and start it.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_demo(commands.add_parser("demo", help="a chat with the sample scan, in the browser"))
    _add_serve(commands.add_parser("serve", help="the backend alone"))
    testing = commands.add_parser(
        "test",
        help="ruff, mypy and all tests; arguments after -- go to pytest",
        usage="%(prog)s [--yes] [-- ...]",
    )
    _add_yes(testing)
    testing.set_defaults(run=test)
    managing = commands.add_parser("weights", help="list, download, verify or remove model weights")
    weights_commands.add_parser(managing)
    managing.set_defaults(run=weights)
    install_commands.add_parsers(
        commands.add_parser("install", help="a backend in a folder of its own, as the Slicer module does it"),
        commands.add_parser("uninstall", help="take away what install made"),
    )
    examining = commands.add_parser("doctor", help="what this machine has and lacks")
    examining.set_defaults(run=doctor)
    return parser


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--headless", action="store_true", help="no browser: ask once and write the files")
    parser.add_argument("--ask", metavar="QUESTION", help="the question, with --headless")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where --headless writes its files")
    parser.add_argument(
        "--volume", type=Path, metavar="SCAN", help="a NIfTI, NRRD or MHA file or a DICOM folder"
    )
    parser.add_argument("--series", metavar="N", help="which series of a DICOM folder, by its number")
    parser.add_argument("--modality", help="CT, MRI, CXR or US, for a file that does not say it")
    parser.add_argument("--port", type=int, default=0, help="port of the web page (default: any free one)")
    parser.add_argument("--no-browser", action="store_true", help="print the address but open no browser")
    _add_model(parser)
    _add_store(parser)
    _add_yes(parser)
    parser.set_defaults(run=demo)


def _add_serve(parser: argparse.ArgumentParser) -> None:
    port = system_check.DEFAULT_PORT
    parser.add_argument(
        "--port", type=int, default=port, help=f"port on 127.0.0.1 (default {port}, 0: any free)"
    )
    _add_model(parser)
    _add_store(parser)
    _add_yes(parser)
    parser.set_defaults(run=serve)


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        metavar="NAME_OR_FOLDER",
        help="(default: the best of those here that fits the free memory)",
    )
    parser.add_argument(
        "--precision", choices=list(Precision), help="of its weights (default: the best that fits)"
    )
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1 or mps")
    parser.add_argument(
        "--prompt-layout",
        choices=get_args(PromptLayout),
        help="how prompts are laid out (default: as in the model's training)",
    )
    parser.add_argument(
        "--hung-after",
        type=float,
        metavar="SECONDS",
        help="restart a model or expert that is silent for so long (default: some minutes)",
    )


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", type=Path, metavar="FOLDER", help="where scans and results lie meanwhile")
    parser.add_argument("--keep-scans", action="store_true", help="do not wipe the stored scans at the end")


def _add_yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--yes", action="store_true", help="install missing system packages without asking (as root)"
    )
