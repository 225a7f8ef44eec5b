"""Steps that remember having been done, so that a second run starts in seconds and a failed one goes on.

A step is done if its marker holds the hash of what it depends on and its products are still there.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from inference_backend.installation.errors import CommandFailed, SetupError
from inference_backend.installation.progress import Progress


@dataclass(frozen=True)
class Step:
    """One resumable part of the set-up.

    Attributes:
        title: what a person reads while it runs.
        marker: file that is written when the step has succeeded.
        inputs: returns texts that, when one of them changes, make the step necessary again.
        action: does the work and reports on the progress display.
        products: what must still exist for the step to count as done.
        disk_bytes: free space that the step needs.
        download_bytes: about what it fetches.
    """

    title: str
    marker: Path
    inputs: Callable[[], Iterable[str]]
    action: Callable[[Progress], None]
    products: tuple[Path, ...] = ()
    disk_bytes: int = 0
    download_bytes: int = 0

    def is_done(self) -> bool:
        """Whether there is nothing left to do."""
        return (
            self.marker.is_file()
            and self.marker.read_text() == self.key()
            and all(product.exists() for product in self.products)
        )

    def key(self) -> str:
        """Hash of what the step depends on."""
        return hashlib.sha256("\0".join(self.inputs()).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run_steps(steps: Sequence[Step], progress: Progress) -> int:
    """Do what is not done yet, in order; returns how many steps ran.

    Raises:
        SetupError: a step failed; the steps before it stay done.
    """
    ran = 0
    for number, step in enumerate(steps, 1):
        if not step.is_done():
            _run_step(step, number, progress)
            ran += 1
    return ran


def _run_step(step: Step, number: int, progress: Progress) -> None:
    progress.begin(number, step.title)
    step.marker.unlink(missing_ok=True)
    try:
        require_space(existing_parent(step.marker), step.disk_bytes, step.title)
        step.action(progress)
    except CommandFailed as error:
        progress.fail()
        raise _explained(step, error) from error
    except OSError as error:
        progress.fail()
        raise SetupError(f"{step.title}: {error}", "Mend this and start the same command again.") from error
    except SetupError:
        progress.fail()
        raise
    step.marker.parent.mkdir(parents=True, exist_ok=True)
    step.marker.write_text(step.key())
    progress.finish()


def existing_parent(path: Path) -> Path:
    """The nearest folder above ``path`` that exists."""
    return next(parent for parent in path.absolute().parents if parent.exists())


def require_space(folder: Path, needed: int, what: str) -> None:
    """Refuse to begin what cannot fit on the disk of ``folder``.

    Raises:
        SetupError: less than ``needed`` bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SetupError(
            f"{what}: needs {gigabytes(needed)} of free disk space; {folder} has {gigabytes(free)}.",
            "Free some space, or clone the repository to another disk, and start the same command again.",
            code="out_of_space",
        )


def gigabytes(size: float) -> str:
    """A size in bytes as a person reads it: ``2.5 GB``, below one ``310 MB``."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


SIGNS = (
    (("No space left", "Errno 28", "not enough space"), "The disk is full: free some space"),
    (
        ("ProxyError", "Cannot connect to proxy"),
        "The proxy let nothing through: correct it in the module's settings or in HTTPS_PROXY "
        "(http://host:port, or http://name:password@host:port where it asks who you are)",
    ),
    (
        ("Connection", "timed out", "Temporary failure", "NewConnectionError", "SSLError"),
        "The package index could not be reached: check the network (or pip's proxy and index settings)",
    ),
)
"""What programs print when they fail, the surest first, and what a person can do about it."""


def _explained(step: Step, error: CommandFailed) -> SetupError:
    """The failure of a program, with what a person can do about it."""
    known = (hint for signs, hint in SIGNS if any(sign in error.tail for sign in signs))
    hint = next(known, error.hint or "See the lines above for the cause")
    message = f"{step.title}: {error.message}\n{_indented(error.tail)}"
    return SetupError(message, f"{hint}. Then start the same command again: it goes on from here.")


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
