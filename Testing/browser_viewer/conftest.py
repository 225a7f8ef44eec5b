"""A small scan, the scripted backend, the viewer's page in a process of its own, and a real browser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK

from Testing.browser_viewer.fake_backend import KEY, FakeBackend
from Testing.browser_viewer.person import start_clean

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 120_000


@pytest.fixture(scope="session")
def scan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chest of three ellipsoids: 96 x 96 x 60 voxels of 3 mm, stored in LPS."""
    k, j, i = np.mgrid[-1:1:60j, -1:1:96j, -1:1:96j]
    voxels = np.full(k.shape, -1000, np.int16)
    voxels[(i / 0.9) ** 2 + (j / 0.7) ** 2 < 1] = 40
    for side in (-0.4, 0.4):
        voxels[((i - side) / 0.26) ** 2 + (j / 0.42) ** 2 + (k / 0.6) ** 2 < 1] = -820
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing((3, 3, 3))
    image.SetOrigin((-144, -144, -90))
    path = tmp_path_factory.mktemp("scan") / "chest.nrrd"
    SimpleITK.WriteImage(image, str(path))
    return path


@pytest.fixture(scope="session")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "key"
    path.write_text(KEY)
    return path


@pytest.fixture
def fake_backend() -> Iterator[FakeBackend]:
    backend = FakeBackend(pause=0.01).start()
    yield backend
    backend.stop()


@pytest.fixture(scope="session")
def python_environment(repository: Path) -> dict[str, str]:
    path = os.pathsep.join((str(repository), str(repository / "VILAM3Slicer")))
    return {**os.environ, "PYTHONPATH": path}


class RunningPage:
    """The viewer's process, its address and the backend behind it."""

    def __init__(self, process: subprocess.Popen[str], url: str, backend: FakeBackend) -> None:
        self.process = process
        self.url = url
        self.backend = backend

    def restart_backend(self) -> None:
        """A new backend, which knows nothing, at the same address."""
        self.backend = FakeBackend(self.backend.port, self.backend.pause).start()


@pytest.fixture(scope="session")
def running_page(
    scan_file: Path,
    key_file: Path,
    python_environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningPage]:
    backend = FakeBackend(pause=0.02).start()
    arguments = ["--backend", backend.url, "--key-file", str(key_file), "--volume", str(scan_file)]
    log = tmp_path_factory.mktemp("log") / "viewer.log"
    with viewer_process(arguments, python_environment, log) as (process, url):
        page = RunningPage(process, url, backend)
        yield page
    page.backend.stop()


@contextmanager
def viewer_process(
    arguments: list[str], environment: dict[str, str], log: Path
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The viewer in a process of its own, and its address."""
    command = [sys.executable, "-m", "browser_viewer", *arguments]
    with log.open("w") as errors:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, log.read_text()[-2000:]
            yield process, json.loads(line)["url"]
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="module")  # while it lives, its event loop runs and asyncio.run does not
def browser() -> Iterator[Any]:
    if not CHROMIUM.exists():
        pytest.skip(f"There is no Chromium at {CHROMIUM}; install it to test the page.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Any, running_page: RunningPage) -> Iterator[Any]:
    """The page, opened with an empty profile, with nothing running; it must load nothing from elsewhere."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    context.set_default_timeout(PATIENCE_MS)
    requests: list[str] = []
    context.on("request", lambda request: requests.append(request.url))
    opened = context.new_page()
    opened.goto(running_page.url)
    opened.click(".tabs >> text=Chat")
    opened.wait_for_selector(".seen-image:not(.empty)")
    opened.wait_for_selector(".send")
    yield opened
    context.close()
    local = ("http://127.0.0.1:", "data:", "blob:")
    assert [url for url in requests if not url.startswith(local)] == []


@pytest.fixture
def clean(page: Any) -> None:
    """The page without a conversation, whatever an earlier test has left."""
    start_clean(page)
