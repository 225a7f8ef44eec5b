"""``setup_backend.py weights``: asks the person; the virtual environment's Python does the work."""

from __future__ import annotations

import argparse
import getpass
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inference_backend.installation import processes
from inference_backend.installation.errors import SetupError
from inference_backend.installation.layout import Layout


@dataclass(frozen=True)
class Licence:
    """A text that has to be accepted before anything else is fetched."""

    file: str
    sha256: str
    text: str


def run(layout: Layout, options: argparse.Namespace) -> int:
    """Run one of the commands; its exit code."""
    if options.weights_command in ("accept", "download"):
        return with_consent(layout, options)
    if options.weights_command == "convert":
        return converted(layout, options)
    chosen = [options.id] if getattr(options, "id", None) else []
    return processes.run_passing_through([*_program(layout), options.weights_command, *chosen])


def with_consent(layout: Layout, options: argparse.Namespace) -> int:
    """Show the licences that are not accepted yet, ask, then record that and, for a download, fetch."""
    place = ["--from", str(options.source)] if options.source else []
    licences = _open_licences(layout, [options.id, *place])
    if licences is None:
        return SetupError.exit_code
    consent = _consent(options.id, licences, options.accept_licence)
    return processes.run_passing_through(
        [*_program(layout), options.weights_command, options.id, *place, *consent]
    )


def converted(layout: Layout, options: argparse.Namespace) -> int:
    """Say what a conversion does, ask, then have it done.

    Raises:
        SetupError: the person did not agree; nothing was opened then.
    """
    question = _printed(layout, ["question", options.id])
    if question is None:
        return SetupError.exit_code
    if question.strip() and not options.yes and not _agrees(f"{question.strip()}\nConvert {options.id} now?"):
        raise SetupError(
            f"{options.id} is not converted, as that was not agreed to.",
            "Start the command again and agree (without a terminal: --yes).",
            "consent_needed",
        )
    return processes.run_passing_through([*_program(layout), "convert", options.id, "--agreed"])


def _program(layout: Layout) -> list[str]:
    return [str(layout.python), "-m", "inference_backend.weights"]


def _open_licences(layout: Layout, chosen: Sequence[str]) -> list[Licence] | None:
    """The texts that are still to be accepted; None if they could not be had, which was told already."""
    printed = _printed(layout, ["licences", *chosen])
    if printed is None:
        return None
    texts = json.loads(printed)
    return [Licence(one["file"], one["sha256"], one["text"]) for one in texts if not one["accepted"]]


def _printed(layout: Layout, arguments: Sequence[str]) -> str | None:
    """What a command prints; None if it failed, which it told itself."""
    command = [*_program(layout), *arguments]
    with processes.ended_with_us(processes.start(command, stdout=subprocess.PIPE)) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        return None if processes.wait(process) else printed


def _consent(name: str, licences: Sequence[Licence], accepted_already: bool) -> list[str]:
    """What the download is told of the person's consent.

    Raises:
        SetupError: not given; nothing is fetched then.
    """
    for licence in licences:
        print(f"\n===== {licence.file} of {name} =====\n\n{licence.text}\n", flush=True)
        if not accepted_already and not _agrees(f"Do you accept {licence.file} of {name}, as shown above?"):
            raise SetupError(
                f"{name} is not fetched, as its licence {licence.file} is not accepted.",
                "Start the command again to read and accept it (without a terminal: --accept-licence).",
                "consent_needed",
            )
        print(f"Accepted: {licence.file} of {name}, SHA-256 {licence.sha256}", flush=True)
    hashes = [word for licence in licences for word in ("--accept", licence.sha256)]
    return [*hashes, "--accepted-by", getpass.getuser()] if licences else []


def _agrees(question: str) -> bool:
    return sys.stdin.isatty() and input(f"{question}\n[yes/N] ").strip().lower() == "yes"


def add_parser(parser: argparse.ArgumentParser) -> None:
    """The commands as ``--help`` shows them."""
    commands = parser.add_subparsers(
        dest="weights_command", required=True, metavar="list|download|accept|convert|verify|remove"
    )
    commands.add_parser("list", help="what there is, what is here, what it needs")
    _add_consented(commands.add_parser("download", help="fetch weights, or what is missing of them"))
    _add_consented(commands.add_parser("accept", help="accept the licence of weights that lie elsewhere"))
    converting = commands.add_parser("convert", help="turn released Python pickles into plain tensors, once")
    converting.add_argument("id", metavar="NAME", help="as list names it")
    converting.add_argument("--yes", action="store_true", help="agree to it without being asked")
    checking = commands.add_parser("verify", help="compare the files with what they were when fetched")
    checking.add_argument("id", metavar="NAME", nargs="?", help="(default: all that are here)")
    removing = commands.add_parser("remove", help="delete weights and free their space")
    removing.add_argument("id", metavar="NAME")


def _add_consented(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="NAME", help="as list names it")
    parser.add_argument(
        "--from", dest="source", type=Path, metavar="FOLDER", help="a folder copied from another machine"
    )
    parser.add_argument(
        "--accept-licence",
        action="store_true",
        help="accept its licence, which is printed, without being asked",
    )
