"""The command line: ``python -m inference_backend serve [--model NAME_OR_FOLDER]``."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from inference_backend.runtime.watchdog import SilenceLimits
from inference_backend.serve import KEY_VARIABLE, ServeOptions, serve
from inference_backend.vila_m3.precision import Precision
from VILAM3SlicerLib.protocol.errors import VilaM3Error
from VILAM3SlicerLib.protocol.messages import PromptLayout


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; an error is told in a sentence and gives exit status 2."""
    given = vars(_parser().parse_args(arguments))
    given.pop("command")
    try:
        serve(ServeOptions(**given))
    except VilaM3Error as error:
        print(f"{error.message} {error.hint}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m inference_backend")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("serve", help="run the backend of VILAM3Slicer")
    command.add_argument(
        "--model", help="name of the catalogue, or a checkpoint folder (default: the best here)"
    )
    command.add_argument(
        "--precision", type=Precision, choices=list(Precision), help="(default: the best that fits)"
    )
    command.add_argument("--host", default="127.0.0.1")
    command.add_argument("--port", type=int, default=0, help="0 takes any free one (default)")
    command.add_argument("--allow-remote", action="store_true", help="let other machines reach it")
    command.add_argument(
        "--key-file",
        type=Path,
        help=f"holds the key, made if it is not there; else the variable {KEY_VARIABLE}, else a random key",
    )
    command.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    command.add_argument("--store", type=Path, help="folder for scans and results")
    command.add_argument("--keep-scans", action="store_true", help="do not wipe scans and results at the end")
    command.add_argument(
        "--prompt-layout",
        choices=get_args(PromptLayout),
        help="how prompts are laid out (default: as in the checkpoint's training)",
    )
    command.add_argument(
        "--hung-after",
        type=_seconds,
        default=SilenceLimits.working,
        metavar="SECONDS",
        help="a model or expert that gives no sign of life for so long is restarted (default %(default).0f)",
    )
    command.add_argument("--parent-pid", type=int, help="end when this process has ended")
    command.add_argument("--watch-stdin", action="store_true", help="end when standard input is closed")
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 1 <= seconds < math.inf:
        raise argparse.ArgumentTypeError("give a time of at least 1 second")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
