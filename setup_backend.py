#!/usr/bin/env python3
"""Sets up VILAM3Slicer and starts it; standard library only, on Linux, macOS and Windows.

    python3 setup_backend.py demo      everything for a chat with the sample scan, in the browser
    python3 setup_backend.py test      everything for the tests, then ruff, mypy and pytest
    python3 setup_backend.py serve     the backend alone
    python3 setup_backend.py install   a backend in a folder of its own, as the Slicer module does; uninstall
    python3 setup_backend.py weights   list, download, verify or remove models' weights
    python3 setup_backend.py doctor    what this machine has and lacks

Exit codes: 0 all is well, 1 tests failed or something is lacking, 2 wrong usage, 3 unsuitable Python,
4 another set-up is running, 5 a step of the set-up failed, 130 stopped by Ctrl+C; else the program's own.
"""

import sys

if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.stderr.write(
        f"VILAM3Slicer needs Python 3.11 to 3.13; {sys.executable} is {sys.version.split()[0]}.\n"
        "Start it with one of those, for instance: python3.12 setup_backend.py demo\n"
    )
    sys.exit(3)

from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT), str(ROOT / "VILAM3Slicer")]

from inference_backend.installation.commands import main  # noqa: E402 - found only by the lines above

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], ROOT))
