"""The work behind ``setup_backend.py weights``: ``python -m inference_backend.weights COMMAND``.

Asks nothing: whoever calls it shows the licences (``licences`` prints them as JSON), asks the person, and
passes on the SHA-256 of what was accepted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from inference_backend.installation.processes import termination_as_interrupt
from inference_backend.installation.progress import Progress, duration
from inference_backend.installation.steps import gigabytes
from inference_backend.weights.catalogue import Catalogue, Entry, read_catalogue
from inference_backend.weights.conversion import convert, open_question
from inference_backend.weights.describe import describe, table
from inference_backend.weights.download import Acceptance, Downloader, source_of
from inference_backend.weights.folder import WeightsFolder
from inference_backend.weights.progress import Tracker
from VILAM3SlicerLib.protocol.errors import VilaM3Error
from VILAM3SlicerLib.protocol.weights import DownloadProgress

FAILED = 5
DAMAGED = 1
INTERRUPTED = 130


class Commands:
    """One method for each command; each returns the exit code."""

    def __init__(self, catalogue: Catalogue, folder: WeightsFolder) -> None:
        self._catalogue = catalogue
        self._folder = folder

    def list(self, _options: argparse.Namespace) -> int:
        """Print what there is and what is here."""
        print(table(describe(self._catalogue, self._folder)))
        return 0

    def licences(self, options: argparse.Namespace) -> int:
        """Print the licence texts that have to be accepted, as JSON."""
        entry = self._catalogue[options.id]
        source = source_of(entry, options.source)
        texts = Downloader(self._folder).licences(entry, source, Tracker())
        print(json.dumps([asdict(text) for text in texts]))
        return 0

    def download(self, options: argparse.Namespace) -> int:
        """Fetch what is missing, with progress."""
        entry = self._catalogue[options.id]
        display = Progress(1, sys.stdout)
        display.begin(1, f"Fetching {entry.id}")
        source = source_of(entry, options.source)
        tracker = Tracker(lambda progress: display.update(progress_text(progress)))
        acceptance = Acceptance(options.accept, options.accepted_by)
        manifest = Downloader(self._folder).download(entry, source, tracker, acceptance)
        display.finish()
        place = self._folder.path(entry)
        print(f"{entry.id}: {len(manifest.files)} files, {gigabytes(manifest.size)}, checked, in {place}")
        return 0

    def accept(self, options: argparse.Namespace) -> int:
        """Record consent to the licences, and fetch nothing but them."""
        entry = self._catalogue[options.id]
        acceptance = Acceptance(options.accept, options.accepted_by)
        source = source_of(entry, options.source)
        Downloader(self._folder).accept(entry, source, Tracker(), acceptance)
        print(f"Recorded in {self._folder.consents.file}")
        return 0

    def question(self, options: argparse.Namespace) -> int:
        """Print what has to be agreed to before ``convert``; nothing where nothing has."""
        print(open_question(self._catalogue[options.id], self._folder))
        return 0

    def convert(self, options: argparse.Namespace) -> int:
        """Turn released pickles into plain tensors."""
        entry = self._catalogue[options.id]
        convert(entry, self._folder, options.agreed, Tracker())
        print(f"{entry.id} is converted; it is used from the next start of the backend on.")
        return 0

    def verify(self, options: argparse.Namespace) -> int:
        """Compare files with what they were; all that are here, or one entry's."""
        entries = [self._catalogue[options.id]] if options.id else self._present()
        damaged = [entry for entry in entries if self._is_damaged(entry)]
        for entry in damaged:
            print(f"-> Mend it: setup_backend.py weights download {entry.id}")
        return DAMAGED if damaged else 0

    def remove(self, options: argparse.Namespace) -> int:
        """Delete an entry and say how much room that gave back."""
        freed = self._folder.remove(self._catalogue[options.id])
        print(f"{gigabytes(freed)} are free again.")
        return 0

    def _present(self) -> Sequence[Entry]:
        return [entry for entry in self._catalogue if self._folder.state(entry) == "present"]

    def _is_damaged(self, entry: Entry) -> bool:
        display = Progress(1, sys.stdout)
        display.begin(1, f"Checking {entry.id}")
        found = []
        for path, _size, damage in self._folder.damages(entry):
            display.update(path)
            found += [damage] if damage else []
        display.finish()
        for damage in found:
            print(f"      {damage.path} {damage.reason}")
        return bool(found)


def progress_text(progress: DownloadProgress) -> str:
    """``3.2 of 17.0 GB, 45 MB/s, 5 min 07 s left: llm/model-00002-of-00004.safetensors``."""
    text = f"{progress.done_bytes / 1e9:.2f} of {progress.total_bytes / 1e9:.2f} GB"
    if progress.seconds_left is not None:
        speed = f"{progress.bytes_per_second / 1e6:.1f} MB/s"
        text += f", {speed}, {duration(progress.seconds_left)} left"
    return f"{text}: {progress.file}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    options = _parser().parse_args(arguments)
    commands = Commands(read_catalogue(), WeightsFolder())
    run: Callable[[argparse.Namespace], int] = getattr(commands, options.command)
    try:
        with termination_as_interrupt():
            return run(options)
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from here.", file=sys.stderr)
        return INTERRUPTED
    except VilaM3Error as error:
        print(f"\n{error.message}\n-> {error.hint} [{error.code}]", file=sys.stderr)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m inference_backend.weights")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list")
    for name in ("licences", "accept", "download"):
        command = commands.add_parser(name)
        command.add_argument("id")
        command.add_argument("--from", dest="source", type=Path, help="folder copied from another machine")
        command.add_argument("--accept", action="append", default=[], metavar="SHA256", help="of a licence")
        command.add_argument("--accepted-by", default="", metavar="NAME")
    commands.add_parser("question").add_argument("id")
    converting = commands.add_parser("convert")
    converting.add_argument("id")
    converting.add_argument("--agreed", action="store_true", help="the person was asked and agreed")
    commands.add_parser("verify").add_argument("id", nargs="?")
    commands.add_parser("remove").add_argument("id")
    return parser


if __name__ == "__main__":
    sys.exit(main())
