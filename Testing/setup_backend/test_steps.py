"""Steps are done once, go on after a failure, and say what a person can do."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest

from inference_backend.installation.errors import CommandFailed, SetupError
from inference_backend.installation.progress import Progress
from inference_backend.installation.steps import Step, file_digest, run_steps


class Work:
    """Steps that note when they ran; the one named ``broken`` fails."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ran: list[str] = []
        self.broken: Exception | None = None
        self.version = "1"

    def step(self, name: str, breaks: bool = False, disk_bytes: int = 0) -> Step:
        def action(_progress: Progress) -> None:
            self.ran.append(name)
            if breaks and self.broken:
                raise self.broken
            (self.folder / name).write_text("made")

        return Step(
            name,
            self.folder / "markers" / name,
            lambda: [self.version],
            action,
            (self.folder / name,),
            disk_bytes,
        )


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path)


def test_second_run_does_nothing(work: Work, progress: Progress) -> None:
    steps = [work.step("first"), work.step("second")]
    assert run_steps(steps, progress) == 2
    assert run_steps(steps, progress) == 0
    assert work.ran == ["first", "second"]


def test_next_run_goes_on_where_a_step_failed(work: Work, progress: Progress) -> None:
    steps = [work.step("first"), work.step("second", breaks=True), work.step("third")]
    work.broken = CommandFailed("A program ended with code 1: pip", tail="no matching distribution")
    with pytest.raises(SetupError, match="no matching distribution"):
        run_steps(steps, progress)
    work.broken = None
    run_steps(steps, progress)
    assert work.ran == ["first", "second", "second", "third"]


def test_changed_input_makes_a_step_run_again(work: Work, progress: Progress) -> None:
    run_steps([work.step("first")], progress)
    work.version = "2"
    assert run_steps([work.step("first")], progress) == 1


def test_lost_product_makes_a_step_run_again(work: Work, progress: Progress) -> None:
    run_steps([work.step("first")], progress)
    (work.folder / "first").unlink()
    assert run_steps([work.step("first")], progress) == 1


def test_failure_of_a_step_done_before_is_not_forgotten(work: Work, progress: Progress) -> None:
    step = work.step("first", breaks=True)
    run_steps([step], progress)
    work.version, work.broken = "2", OSError("broken")
    with pytest.raises(SetupError):
        run_steps([step], progress)
    work.version = "1"
    assert not step.is_done()


@pytest.mark.parametrize(
    ("failure", "advice"),
    [
        (CommandFailed("pip", tail="NewConnectionError: Temporary failure in name resolution"), "network"),
        (CommandFailed("pip", tail="ProxyError('Cannot connect to proxy.', Connection refused)"), "settings"),
        (CommandFailed("pip", tail="OSError: [Errno 28] No space left on device"), "disk is full"),
        (CommandFailed("venv", "apt-get install -y python3-venv", tail=""), "python3-venv"),
        (OSError(28, "No space left on device"), "again"),
    ],
)
def test_failure_says_what_to_do(work: Work, progress: Progress, failure: Exception, advice: str) -> None:
    work.broken = failure
    with pytest.raises(SetupError) as raised:
        run_steps([work.step("first", breaks=True)], progress)
    assert advice in raised.value.hint
    assert "first" in raised.value.message
    assert raised.value.exit_code != 0


def test_too_little_disk_is_found_before_anything_is_fetched(
    work: Work, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    nearly_full = shutil.disk_usage(work.folder)._replace(free=10**8)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: nearly_full)
    with pytest.raises(SetupError, match=r"needs 4\.0 GB .* has 100 MB") as raised:
        run_steps([work.step("first", disk_bytes=4 * 10**9)], progress)
    assert raised.value.code == "out_of_space"
    assert work.ran == []


def test_display_tells_step_number_and_time(work: Work, display: io.StringIO) -> None:
    times = iter([0.0, 125.0])
    progress = Progress(2, display, clock=lambda: next(times))
    run_steps([work.step("first")], progress)
    assert display.getvalue() == "[1/2] first ...\n[1/2] first: done in 2 min 05 s\n"


def test_log_gets_a_line_now_and_then(display: io.StringIO) -> None:
    now = [0.0]
    progress = Progress(1, display, clock=lambda: now[0])
    progress.begin(1, "Installing")
    for second in range(45):
        now[0] = float(second)
        progress.update(f"package {second}")
    assert display.getvalue().splitlines() == [
        "[1/1] Installing ...",
        "[1/1] Installing  20 s  package 20",
        "[1/1] Installing  40 s  package 40",
    ]


def test_digest_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert file_digest(tmp_path / "empty").startswith("e3b0c44298fc1c149afbf4c8996fb924")
