"""Keeps a child process alive: starts it, restarts it when it dies, kills it when it hangs or is deaf."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal

from inference_backend.runtime.child_process import ChildProcess, JobInChild, ProcessDied
from inference_backend.runtime.watchdog import SilenceLimits, until_hung
from inference_backend.runtime.worker import MakeWorker
from VILAM3SlicerLib.protocol.errors import VilaM3Error

log = logging.getLogger(__name__)

Readiness = Literal["loading", "ready", "failed"]


@dataclass(frozen=True)
class RestartPolicy:
    """When a process counts as hung, and when one that died is started again; times in seconds.

    The pause doubles with each death in a row; a job that ended well ends the row.
    """

    first_pause: float = 0.5
    longest_pause: float = 30.0
    deaths_in_a_row: int = 5
    silence: SilenceLimits = field(default_factory=SilenceLimits)

    def pause(self, deaths: int) -> float:
        """The pause after that many deaths in a row."""
        return float(min(self.first_pause * 2 ** max(deaths - 1, 0), self.longest_pause))


class SupervisedProcess:
    """A worker in a process of its own that does one job at a time and outlives its own death.

    States: loading -> ready -> (dies) -> loading ...; failed when its loading failed or it died too often.
    """

    def __init__(
        self,
        what: str,
        make_worker: MakeWorker,
        failure: type[VilaM3Error],
        patience: float,
        policy: RestartPolicy | None = None,
    ) -> None:
        """``what`` names it to a person ("The model").

        ``failure`` is raised when the process dies in mid-job; a process that has not ended a cancelled job
        after ``patience`` seconds is killed, as is one that hangs.
        """
        self._what = what
        self._make_worker = make_worker
        self._failure = failure
        self._patience = patience
        self._policy = policy or RestartPolicy()
        self._child: ChildProcess | None = None
        self._settled = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self.when_loaded: Callable[[], Coroutine[Any, Any, None]] | None = None
        """Begun each time that a process has been loaded."""
        self._deaths = 0
        self._problem: VilaM3Error | None = None
        self.readiness: Readiness = "loading"
        self.info: Any = None

    @property
    def detail(self) -> str:
        """Why it failed, empty while it has not."""
        return "" if self._problem is None else self._problem.message

    @property
    def pid(self) -> int | None:
        """The process that lives now."""
        return None if self._child is None else self._child.pid

    async def start(self) -> None:
        """Begin to load; returns at once."""
        self._keep(self._supervise())

    async def stop(self) -> None:
        """End the process."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._child is not None:
            await self._child.close()

    async def until_ready(self) -> None:
        """Wait while it loads.

        Raises:
            VilaM3Error: it failed for good.
        """
        await self._settled.wait()
        if self._problem is not None:
            raise self._problem

    async def run(self, request: Any) -> AsyncIterator[Any]:
        """Do one job and yield what the worker emits; cancelling the task that iterates this cancels the job.

        Raises:
            VilaM3Error: the worker's own error, or the ``failure`` where its process died.
        """
        await self._one_at_a_time.acquire()
        job = None
        try:
            child = await self._ready_child()
            job = child.job(request)
            await child.begin(job)
            async for output in job.outputs():
                yield output
            self._deaths = 0
        except ProcessDied as error:
            raise self._died(error) from error
        finally:
            if job is None or job.finished.is_set():
                self._one_at_a_time.release()
            else:
                self._keep(self._abandon(child, job))

    async def _ready_child(self) -> ChildProcess:
        await self.until_ready()
        assert self._child is not None
        return self._child

    async def _abandon(self, child: ChildProcess, job: JobInChild) -> None:
        """Cancel a job without making anyone wait; the next job begins when this one has ended."""
        try:
            telling = asyncio.create_task(child.cancel(job))
            await asyncio.wait_for(job.finished.wait(), self._patience)
            await telling
        except TimeoutError:
            log.warning("%s does not listen: its process is ended and started again", self._what)
            child.kill()
            await child.gone.wait()
        finally:
            self._one_at_a_time.release()

    async def _supervise(self) -> None:
        while self._problem is None:
            self._child = ChildProcess(self._what, self._make_worker)
            watching = asyncio.create_task(self._end_if_it_hangs(self._child))
            try:
                self.info = await self._child.loaded
                self._become("ready")
                if self.when_loaded is not None:
                    self._keep(self.when_loaded())
                await self._child.gone.wait()
            except ProcessDied:
                pass
            except VilaM3Error as error:
                self._fail(error)
                return
            finally:
                watching.cancel()
            await self._after_death(self._child)

    async def _end_if_it_hangs(self, child: ChildProcess) -> None:
        child.end_as_hung(await until_hung(child, self._policy.silence))

    async def _after_death(self, child: ChildProcess) -> None:
        self._become("loading")
        if child.was_killed:
            return
        self._deaths += 1
        how = child.how_it_ended
        log.warning("%s: its process %s (%s in a row)", self._what, how, self._deaths)
        if self._deaths >= self._policy.deaths_in_a_row:
            message = f"{self._what} {how}, {self._deaths} times in a row; it stays ended."
            self._fail(self._failure(message, "Look into the backend's log, then start the backend again."))
            return
        await asyncio.sleep(self._policy.pause(self._deaths))

    def _died(self, error: ProcessDied) -> VilaM3Error:
        return self._failure(
            f"{self._what} {error}.",
            "It is being started again; ask again in a moment.",
        )

    def _fail(self, problem: VilaM3Error) -> None:
        self._problem = problem
        self._become("failed")

    def _become(self, readiness: Readiness) -> None:
        self.readiness = readiness
        if readiness == "loading":
            self._settled.clear()
        else:
            self._settled.set()

    def _keep(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
