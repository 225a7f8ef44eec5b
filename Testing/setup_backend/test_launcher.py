"""Backend and viewer are started, told of each other, and ended; one that dies is told with its log."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import get_args

import psutil
import pytest

from inference_backend.installation import commands, launcher
from inference_backend.installation.errors import SetupError
from inference_backend.installation.layout import Layout
from VILAM3SlicerLib.protocol.messages import PromptLayout

BACKEND = """
import json, os, pathlib, sys, time
pathlib.Path("backend.json").write_text(json.dumps(sys.argv[1:]))
pathlib.Path("backend.pid").write_text(str(os.getpid()))
print("loading", flush=True)
if os.environ.get("BACKEND_DIES"):
    sys.exit("No such checkpoint.")
print(json.dumps({"url": "http://127.0.0.1:1", "pid": 1, "key_file": "the-key"}), flush=True)
time.sleep(1 if os.environ.get("BACKEND_DIES_LATER") else 60)
sys.exit("Killed by a test.")
"""
VIEWER = """
import json, pathlib, sys, time
pathlib.Path("viewer.json").write_text(json.dumps(sys.argv[1:]))
print(json.dumps({"ready": True, "address": "http://127.0.0.1:2/?secret=s"}), flush=True)
time.sleep(60)
"""
HEADLESS = """
import json, pathlib, sys
pathlib.Path("headless.json").write_text(json.dumps(sys.argv[1:]))
sys.exit(3)
"""
FAKES = {"inference_backend": BACKEND, "browser_viewer": VIEWER, "browser_viewer/headless": HEADLESS}


@pytest.fixture
def checkout(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A checkout whose backend and viewer are the small programs above."""
    layout.python.parent.mkdir(parents=True)
    layout.python.symlink_to(sys.executable)
    for name, text in FAKES.items():
        path = layout.root / (f"{name}.py" if "/" in name else f"{name}/__main__.py")
        path.parent.mkdir(exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text)
    monkeypatch.chdir(layout.root)
    monkeypatch.setenv("PYTHONPATH", str(layout.root))
    return layout


def _options(*arguments: str) -> argparse.Namespace:
    return commands.build_parser().parse_args(["demo", "--no-browser", *arguments])


def _backend_is_gone() -> bool:
    pid = int(Path("backend.pid").read_text())
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def _running_children() -> set[int]:
    """Process ids; those of other tests' helpers, such as a resource tracker, are among them."""
    children = psutil.Process(os.getpid()).children(recursive=True)
    return {child.pid for child in children if child.status() != psutil.STATUS_ZOMBIE}


def test_headless_passes_everything_on_and_its_exit_code_back(checkout: Layout) -> None:
    options = _options("--headless", "--ask", "Segment the lungs.", "--output", "out", "--series", "2")
    assert launcher.headless(checkout, options) == 3
    text = Path("headless.json").read_text()
    for word in ("http://127.0.0.1:1", "the-key", "Segment the lungs.", "out", "--series", "2", "cxr.nii.gz"):
        assert f'"{word}' in text or f'{word}"' in text
    assert _backend_is_gone()


def test_backend_gets_the_folder_for_scans_and_whether_to_keep_them(checkout: Layout) -> None:
    launcher.headless(checkout, _options("--ask", "x", "--output", "out", "--store", "other", "--keep-scans"))
    told = json.loads(Path("backend.json").read_text())
    assert told[told.index("--store") + 1] == "other"
    assert "--keep-scans" in told


@pytest.mark.parametrize("wanted", get_args(PromptLayout))
def test_backend_gets_the_layout_of_prompts_that_is_wanted(checkout: Layout, wanted: str) -> None:
    launcher.headless(checkout, _options("--ask", "x", "--output", "out", "--prompt-layout", wanted))
    told = json.loads(Path("backend.json").read_text())
    assert told[told.index("--prompt-layout") + 1] == wanted


def test_what_nobody_asks_for_is_left_to_the_backend(checkout: Layout) -> None:
    launcher.headless(checkout, _options("--ask", "x", "--output", "out"))
    told = json.loads(Path("backend.json").read_text())
    assert not {"--model", "--precision", "--prompt-layout", "--hung-after"} & set(told)


def test_backend_gets_how_long_a_silent_process_is_waited_for(checkout: Layout) -> None:
    launcher.headless(checkout, _options("--ask", "x", "--output", "out", "--hung-after", "900"))
    told = json.loads(Path("backend.json").read_text())
    assert float(told[told.index("--hung-after") + 1]) == 900


def test_backend_that_cannot_start_is_told_with_its_log(
    checkout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKEND_DIES", "1")
    with pytest.raises(SetupError, match="No such checkpoint") as raised:
        launcher.headless(checkout, _options("--headless"))
    assert str(checkout.cache / "logs" / "backend.log") in raised.value.hint


def test_page_address_is_printed_and_a_dying_backend_ends_the_viewer(
    checkout: Layout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BACKEND_DIES_LATER", "1")
    others = _running_children()
    with pytest.raises(SetupError, match="backend has ended by itself"):
        launcher.interactive(checkout, _options())
    assert "http://127.0.0.1:2/?secret=s" in capsys.readouterr().out
    assert "the-key" in Path("viewer.json").read_text()
    assert _running_children() <= others
