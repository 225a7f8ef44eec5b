"""Real child processes: they answer, fail, die, go deaf and come back."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from inference_backend.runtime.priority import STEPS_DOWN, THREADS, threads
from inference_backend.runtime.supervisor import RestartPolicy, SupervisedProcess
from inference_backend.runtime.watchdog import SilenceLimits
from Testing.inference_backend.runtime.workers import Load
from VILAM3SlicerLib.protocol.errors import CheckpointError, InvalidRequest, ModelError, VilaM3Error

QUICK = RestartPolicy(first_pause=0.05, longest_pause=0.2, deaths_in_a_row=3)


@asynccontextmanager
async def supervised(
    failure: str = "", patience: float = 1.0, silence: SilenceLimits | None = None
) -> AsyncIterator[SupervisedProcess]:
    policy = replace(QUICK, silence=silence or SilenceLimits())
    process = SupervisedProcess("The worker", Load(failure), ModelError, patience, policy)
    await process.start()
    try:
        yield process
    finally:
        await process.stop()


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))  # type: ignore[arg-type]


async def outputs(process: SupervisedProcess, request: str) -> list[Any]:
    return [output async for output in process.run(request)]


async def begin(process: SupervisedProcess, request: str) -> tuple[asyncio.Task[list[Any]], float]:
    """Start a job and wait for its first sign of life."""
    first = asyncio.Event()

    async def collect() -> list[Any]:
        collected = []
        async for output in process.run(request):
            collected.append(output)
            first.set()
        return collected

    task = asyncio.create_task(collect())
    await first.wait()
    return task, time.monotonic()


def test_a_job_gives_its_outputs_in_order_and_its_error_as_it_was_raised() -> None:
    async def test() -> None:
        async with supervised() as process:
            assert await outputs(process, "count") == [0, 1, 2]
            assert (process.readiness, process.info) == ("ready", "loaded")
            with pytest.raises(InvalidRequest) as refused:
                await outputs(process, "refuse")
            assert (refused.value.code, refused.value.hint) == ("odd_code", "Do something else.")

    run(test)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has classes of priority")
def test_a_process_lets_the_programs_of_the_person_go_first() -> None:
    async def test() -> None:
        async with supervised() as process:
            (pid,) = await outputs(process, "tell_pid")
            assert psutil.Process(pid).nice() == min(psutil.Process().nice() + STEPS_DOWN, 19)

    run(test)


def test_a_process_leaves_a_core_to_others_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    async def told() -> list[Any]:
        async with supervised() as process:
            return await outputs(process, "tell_threads")

    monkeypatch.delenv(THREADS, raising=False)
    (by_itself,) = asyncio.run(told())
    assert by_itself <= max(1, (os.cpu_count() or 1) - 1)
    monkeypatch.setenv(THREADS, str(by_itself + 1))
    assert asyncio.run(told()) == [by_itself + 1]


def test_threads_are_the_real_cores_but_never_all_that_there_are() -> None:
    assert [threads(*cores) for cores in ((1, 1), (2, 2), (8, 8), (16, 8), (4, None))] == [1, 1, 7, 8, 3]


def test_unforeseen_errors_are_typed_and_carry_no_data_and_the_worker_lives_on(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async def test() -> None:
        async with supervised() as process:
            (pid,) = await outputs(process, "tell_pid")
            with pytest.raises(VilaM3Error) as broken:
                await outputs(process, "break_down")
            assert broken.value.code == "internal"
            assert "patient" not in str(broken.value)
            with pytest.raises(VilaM3Error) as full:
                await outputs(process, "fill_memory")
            assert full.value.code == "out_of_memory"
            assert await outputs(process, "tell_pid") == [pid]

    run(test)
    logged = capfd.readouterr().err
    assert "break_down" in logged
    assert "patient" not in logged


def test_a_process_killed_in_mid_job_fails_the_job_at_once_and_comes_back() -> None:
    async def test() -> None:
        async with supervised() as process:
            task, _ = await begin(process, "count_slowly")
            (before, since) = process.pid, time.monotonic()
            assert before is not None
            os.kill(before, signal.SIGKILL)
            with pytest.raises(ModelError, match="signal 9"):
                await task
            assert time.monotonic() - since < 2
            assert await outputs(process, "tell_pid") == [process.pid]
            assert process.pid != before

    run(test)


def test_a_process_whose_device_failed_says_so_and_is_replaced() -> None:
    async def test() -> None:
        async with supervised() as process:
            await process.until_ready()
            before, since = process.pid, time.monotonic()
            with pytest.raises(ModelError, match="failed in mid-work") as caught:
                await outputs(process, "lose_the_device")
            assert caught.value.code == "device_lost"
            while process.pid == before or process.readiness != "ready":
                await asyncio.sleep(0.02)
            assert time.monotonic() - since < 10
            assert await outputs(process, "tell_pid") == [process.pid]

    run(test)


def test_a_cancelled_job_ends_and_the_process_stays() -> None:
    async def test() -> None:
        async with supervised(patience=10) as process:
            task, _ = await begin(process, "count_slowly")
            before, since = process.pid, time.monotonic()
            task.cancel()
            assert await outputs(process, "tell_pid") == [before]  # waits until the cancelled job has ended
            assert time.monotonic() - since < 1
            assert task.cancelled()

    run(test)


def test_a_process_that_does_not_listen_is_replaced_and_another_one_is_not_touched() -> None:
    async def test() -> None:
        async with supervised(patience=0.3) as deaf, supervised() as other:
            (pid_of_other,) = await outputs(other, "tell_pid")
            task, since = await begin(deaf, "be_deaf")
            before = deaf.pid
            task.cancel()
            (after,) = await outputs(deaf, "tell_pid")
            assert after != before
            assert time.monotonic() - since < 5
            assert not psutil.pid_exists(before or 0)
            assert await outputs(other, "tell_pid") == [pid_of_other]

    run(test)


@pytest.mark.parametrize("job", ["freeze", "hang"])
def test_a_process_that_hangs_is_ended_and_told_of_and_the_next_job_is_done(job: str) -> None:
    async def test() -> None:
        async with supervised(patience=60, silence=SilenceLimits(working=1.5)) as process:
            task, since = await begin(process, job)
            before = process.pid
            with pytest.raises(ModelError, match=r"no sign of life for 1.5 s and was ended") as caught:
                await task
            assert 1.2 < time.monotonic() - since < 10
            assert "ask again" in caught.value.hint
            assert await outputs(process, "tell_pid") == [process.pid]
            assert process.pid != before
            assert not psutil.pid_exists(before or 0)

    run(test)


def test_a_process_that_is_silent_but_asks_whether_to_go_on_is_left_alone() -> None:
    async def test() -> None:
        async with supervised(silence=SilenceLimits(working=1.5)) as process:
            assert await outputs(process, "think") == ["thought"]  # takes 4 s
            before = process.pid
            await asyncio.sleep(2)  # nothing to do is no silence
            assert await outputs(process, "tell_pid") == [before]

    run(test)


def test_loading_may_be_silent_for_longer_than_work() -> None:
    async def test() -> None:
        async with supervised("slow", silence=SilenceLimits(working=0.5, loading=60)) as process:
            assert await outputs(process, "count") == [0, 1, 2]

    run(test)


def test_a_loading_that_hangs_is_tried_again_and_then_given_up() -> None:
    async def test() -> None:
        async with supervised("freeze", silence=SilenceLimits(loading=1.0)) as process:
            with pytest.raises(ModelError, match=r"no sign of life for 1 s.* 3 times in a row"):
                await process.until_ready()

    run(test)


def test_jobs_wait_for_each_other() -> None:
    async def test() -> None:
        async with supervised() as process:
            both = await asyncio.gather(outputs(process, "count"), outputs(process, "count"))
            assert both == [[0, 1, 2], [0, 1, 2]]

    run(test)


def test_a_failed_loading_is_told_and_not_repeated() -> None:
    async def test() -> None:
        async with supervised("damaged") as process:
            with pytest.raises(CheckpointError, match="damaged"):
                await outputs(process, "count")
            assert (process.readiness, process.detail) == ("failed", "The checkpoint is damaged.")

    run(test)


def test_a_process_that_dies_again_and_again_is_given_up() -> None:
    async def test() -> None:
        async with supervised("vanish") as process:
            with pytest.raises(ModelError, match="3 times in a row"):
                await process.until_ready()
            with pytest.raises(ModelError):
                await outputs(process, "count")

    run(test)


def test_pauses_grow_up_to_a_bound() -> None:
    policy = RestartPolicy(first_pause=1, longest_pause=5)
    assert [policy.pause(deaths) for deaths in (1, 2, 3, 4, 9)] == [1, 2, 4, 5, 5]


def test_a_child_holds_no_listening_socket_and_ignores_ctrl_c() -> None:
    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)):
            async with supervised() as process:
                (pid,) = await outputs(process, "tell_pid")
                assert not [link for link in psutil.Process(pid).net_connections() if link.status == "LISTEN"]
                os.kill(pid, signal.SIGINT)
                assert await outputs(process, "tell_pid") == [pid]

    run(test)


def test_a_child_ends_with_its_parent_even_when_that_is_killed(repository: Path, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent("""
        import asyncio
        from inference_backend.runtime.supervisor import SupervisedProcess
        from Testing.inference_backend.runtime.workers import Load
        from VILAM3SlicerLib.protocol.errors import ModelError

        async def main():
            process = SupervisedProcess("The worker", Load(), ModelError, 1.0)
            await process.start()
            async for item in process.run("be_deaf"):
                print(process.pid, flush=True)

        if __name__ == "__main__":
            asyncio.run(main())
        """)
    )
    path = os.pathsep.join((str(repository), str(repository / "VILAM3Slicer")))
    parent = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    child.wait(timeout=5)
