"""The child's side: loads a worker, then does one job at a time and listens for cancellation meanwhile."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Protocol

from inference_backend.failures import as_project_error, traceback_without_data
from inference_backend.runtime.priority import give_way
from VILAM3SlicerLib.protocol.errors import VilaM3Error

log = logging.getLogger(__name__)

DEVICE_LOST = 70
"""Exit status of a process whose device failed."""

SIGN_INTERVAL = 0.5
"""Seconds between two signs of life at least."""

Emit = Callable[[Any], None]
IsCancelled = Callable[[], bool]


class Worker(Protocol):
    """What a child process does."""

    what: str
    """Names it to a person: "The model"."""

    @property
    def info(self) -> Any:
        """What the parent is told when the worker has loaded."""

    def handle(self, request: Any, emit: Emit, is_cancelled: IsCancelled) -> None:
        """Do one job, giving each piece of its result to ``emit``.

        One that for minutes neither emits nor asks ``is_cancelled`` is taken for hung, and its process ended.

        Raises:
            Cancelled: ``is_cancelled`` became true.
            VilaM3Error: the job failed; any other exception is reported as one.
        """


MakeWorker = Callable[[], Worker]
"""Runs in the child; picklable, so that it can be sent there."""


@dataclass(frozen=True)
class Loaded:
    info: Any


@dataclass(frozen=True)
class LoadFailed:
    error: VilaM3Error


@dataclass(frozen=True)
class Job:
    job_id: int
    request: Any


@dataclass(frozen=True)
class Cancel:
    job_id: int


@dataclass(frozen=True)
class Output:
    job_id: int
    value: Any


@dataclass(frozen=True)
class Done:
    job_id: int
    error: VilaM3Error | None


@dataclass(frozen=True)
class Alive:
    """The worker asked whether to go on, so it does not hang."""


class _Inbox:
    """Jobs that wait and jobs that are cancelled; filled by a thread that never computes.

    The end of the pipe means that the parent is gone, however it went: the process ends at once.
    """

    def __init__(self, connection: Connection) -> None:
        self.jobs: SimpleQueue[Job] = SimpleQueue()
        self._connection = connection
        self._cancelled: set[int] = set()
        Thread(target=self._listen, daemon=True).start()

    def is_cancelled(self, job_id: int) -> bool:
        return job_id in self._cancelled

    def forget(self, job_id: int) -> None:
        self._cancelled.discard(job_id)

    def _listen(self) -> None:
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, OSError):
                os._exit(0)
            if isinstance(message, Cancel):
                self._cancelled.add(message.job_id)
            else:
                self.jobs.put(message)


class _Outbox:
    """Sends from any thread of the worker."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = Lock()

    def send(self, message: Any) -> None:
        with self._lock:
            self._connection.send(message)


class _SignsOfLife:
    """Tells the parent that the worker itself gets on: a thread beside it would live on while it hangs."""

    def __init__(self, outbox: _Outbox) -> None:
        self._outbox = outbox
        self._last = time.monotonic()

    def give(self) -> None:
        now = time.monotonic()
        if now - self._last >= SIGN_INTERVAL:
            self._last = now
            self._outbox.send(Alive())


def run_worker(connection: Connection, make_worker: MakeWorker) -> None:
    """The child's main function."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the whole group; the parent decides
    give_way()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    inbox, outbox = _Inbox(connection), _Outbox(connection)
    worker = _load(make_worker, outbox)
    if worker is None:
        return
    while True:
        _do(inbox.jobs.get(), worker, inbox, outbox)


def _load(make_worker: MakeWorker, outbox: _Outbox) -> Worker | None:
    try:
        worker = make_worker()
        outbox.send(Loaded(worker.info))
    except Exception as error:  # the edge of the process: anything may go wrong in a library while loading
        _log_unexpected(error)
        outbox.send(LoadFailed(as_project_error(error, "Loading")))
        return None
    return worker


def _do(job: Job, worker: Worker, inbox: _Inbox, outbox: _Outbox) -> None:
    failure = None
    signs = _SignsOfLife(outbox)

    def is_cancelled() -> bool:
        signs.give()
        return inbox.is_cancelled(job.job_id)

    try:
        worker.handle(job.request, lambda value: outbox.send(Output(job.job_id, value)), is_cancelled)
    except Exception as error:  # the edge of the process: the parent gets a typed error, the worker lives on
        _log_unexpected(error)
        failure = as_project_error(error, worker.what)
    if failure is not None and failure.code == "out_of_memory":
        _free_device_memory()
    inbox.forget(job.job_id)
    outbox.send(Done(job.job_id, failure))
    if failure is not None and failure.code == "device_lost":
        os._exit(DEVICE_LOST)  # no process can use a device again that failed under it; the next one can


def _log_unexpected(error: Exception) -> None:
    if not isinstance(error, VilaM3Error):
        log.error("unexpected error in a worker\n%s", traceback_without_data(error))


def _free_device_memory() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
