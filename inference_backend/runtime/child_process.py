"""The parent's side of one life of a child process."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
from collections.abc import AsyncIterator
from multiprocessing.connection import Connection, wait
from threading import Lock, Thread
from typing import Any

from inference_backend.runtime.worker import (
    Cancel,
    Done,
    Job,
    Loaded,
    LoadFailed,
    MakeWorker,
    Output,
    run_worker,
)


class ProcessDied(Exception):
    """The child process ended, not by our wish; the text says how: "ended unexpectedly (signal 9)"."""


class JobInChild:
    """A job that a child works on."""

    def __init__(self, job_id: int, request: Any) -> None:
        self.message = Job(job_id, request)
        self.finished = asyncio.Event()
        self.error: Exception | None = None
        self._outputs: asyncio.Queue[Any] = asyncio.Queue()

    async def outputs(self) -> AsyncIterator[Any]:
        """What the worker emitted, as it comes.

        Raises:
            VilaM3Error: the job failed.
            ProcessDied: the process ended before the job did.
        """
        while (message := await self._outputs.get()) is not None:
            yield message.value
        if self.error is not None:
            raise self.error

    def add(self, output: Output) -> None:
        self._outputs.put_nowait(output)

    def finish(self, error: Exception | None) -> None:
        if not self.finished.is_set():
            self.error = error
            self.finished.set()
            self._outputs.put_nowait(None)


class ChildProcess:
    """A spawned process that runs a worker, from its start to its end.

    All methods are called on the event loop; one thread reads the pipe and posts to the loop. The child holds
    no handle of this process but its end of the pipe (spawn, not fork), so no listening socket either.
    """

    def __init__(self, name: str, make_worker: MakeWorker) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs: dict[int, JobInChild] = {}
        self._ids = itertools.count(1)
        self._sending = Lock()
        self.loaded: asyncio.Future[Any] = self._loop.create_future()
        self.gone = asyncio.Event()
        self.was_killed = False
        self.signs_of_life = 0
        """Messages that came from it."""
        self._hung_for = 0.0
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=run_worker, args=(theirs, make_worker), name=name)
        self._process.start()
        theirs.close()
        Thread(target=self._read, args=(self._connection,), name=f"{name} reader", daemon=True).start()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def is_loading(self) -> bool:
        return not self.loaded.done()

    @property
    def is_working(self) -> bool:
        return bool(self._jobs)

    def job(self, request: Any) -> JobInChild:
        """A job for this child, to be handed over with ``begin``."""
        job = JobInChild(next(self._ids), request)
        self._jobs[job.message.job_id] = job
        if self.gone.is_set():
            job.finish(ProcessDied(self.how_it_ended))
        return job

    async def begin(self, job: JobInChild) -> None:
        """Hand a job to the child; jobs are done one after the other."""
        await self._send(job.message)

    async def cancel(self, job: JobInChild) -> None:
        """Tell the child that nobody wants the job any more."""
        await self._send(Cancel(job.message.job_id))

    def kill(self) -> None:
        """End the process now."""
        self.was_killed = True
        self._process.kill()

    def end_as_hung(self, silent_for: float) -> None:
        """End a process that gave no sign of life for so many seconds; that counts as its own death."""
        self._hung_for = silent_for
        self._process.kill()

    async def close(self) -> None:
        """End the process and wait until it is gone."""
        self.kill()
        await self.gone.wait()

    async def _send(self, message: Any) -> None:
        await asyncio.to_thread(self._send_blocking, message)  # a stopped child may leave the pipe full

    def _send_blocking(self, message: Any) -> None:
        try:
            with self._sending:
                self._connection.send(message)
        except OSError:
            pass  # the reader learns of the end of the process too, and ends the jobs

    def _read(self, connection: Connection) -> None:
        """Runs in a thread; the process's own handle is watched too, as grandchildren may hold the pipe."""
        try:
            while connection in wait([connection, self._process.sentinel]):
                self._post(self._receive, connection.recv())
        except (EOFError, OSError):
            pass
        self._process.join()
        self._post(self._end)

    def _post(self, function: Any, *arguments: Any) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)

    def _receive(self, message: Any) -> None:
        self.signs_of_life += 1
        if isinstance(message, Loaded) and not self.loaded.done():
            self.loaded.set_result(message.info)
        elif isinstance(message, LoadFailed) and not self.loaded.done():
            self.loaded.set_exception(message.error)
        elif isinstance(message, Output):
            self._jobs[message.job_id].add(message)
        elif isinstance(message, Done):
            self._jobs.pop(message.job_id).finish(message.error)

    def _end(self) -> None:
        self._connection.close()
        died = ProcessDied(self.how_it_ended)
        if not self.loaded.done():
            self.loaded.set_exception(died)
        for job in self._jobs.values():
            job.finish(died)
        self.gone.set()

    @property
    def how_it_ended(self) -> str:
        """What is said of a process that is gone, for a person: "ended unexpectedly (signal 9)"."""
        if self._hung_for:
            return f"gave no sign of life for {self._hung_for:.3g} s and was ended"
        code = self._process.exitcode or 0
        return f"ended unexpectedly ({f'signal {-code}' if code < 0 else f'exit code {code}'})"
